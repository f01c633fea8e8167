"""What goes on without the global layer: ports that refuse, and black holes that take a connection and never answer."""

import socket
import time
from contextlib import contextmanager

import pytest
from django.db import connections
from django_redis import get_redis_connection

from bookings import reviews
from bookings.models import Booking, RatingStale
from privacy import erasure
from providers.models import ProviderAccount
from regions import config, flags, shared
from regions.models import AppConfig, FeatureFlag, RatingAggregate, SlugReservation
from tests.conftest import free_port
from tests.factories import BookingFactory, ChildFactory, ParentFactory, ProviderUserFactory, SessionFactory, in_days
from tests.payments.signed import checkout, post_stripe

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])

FLAG = "MESSAGING_ENABLED"
# What a request may take that needs nothing of the global layer, and one that asks it in vain.
SOON, BOUNDED = 1.5, 4.0


@contextmanager
def within(seconds):
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@pytest.fixture(params=["refused", "black hole"])
def outage(request, settings):
    """`outage.begin()` takes the global database and the global Redis away, `outage.end()` gives them back."""
    connection, caches = connections["global"], settings.CACHES
    port = connection.settings_dict["PORT"]

    class Outage:
        def begin(self):
            connection.close()
            if request.param == "refused":
                dead = free_port()
            else:
                # The system takes connections for us; nobody ever reads from them.
                self.hole = socket.create_server(("127.0.0.1", 0), backlog=128)
                dead = self.hole.getsockname()[1]
            connection.settings_dict["PORT"] = dead
            location = f"redis://127.0.0.1:{dead}/0"
            settings.CACHES = caches | {"global": caches["global"] | {"LOCATION": location}}

        def end(self):
            connection.settings_dict["PORT"] = port
            settings.CACHES = caches
            if request.param == "black hole":
                self.hole.close()

    outage = Outage()
    yield outage
    outage.end()


def test_browsing_booking_paying_and_cancelling_go_on_without_delay(api, outage, sandbox):
    session, child = SessionFactory(), ChildFactory()
    caller = api.as_user(child.parent.user)
    outage.begin()
    with within(SOON):
        [activity] = api.get("/v1/activities").data
    with within(SOON):
        assert api.get(f"/v1/activities/{activity['id']}/sessions").data[0]["id"] == str(session.pk)
    with within(SOON):
        body = {"sessionId": str(session.pk), "childId": str(child.pk)}
        booking = caller.post("/v1/me/bookings", body, Idempotency_Key="a").data
    with within(SOON):
        answer = caller.post("/v1/payments/checkout", {"bookingId": booking["id"]}, Idempotency_Key="b")
        assert answer.status == 201
    with within(SOON):
        assert post_stripe(api, checkout(Booking.objects.get().payments.get())).status == 200
    with within(SOON):
        assert caller.get(f"/v1/me/bookings/{booking['id']}").data["status"] == "confirmed"
    with within(SOON):
        assert caller.post(f"/v1/me/bookings/{booking['id']}/cancel", {}).data["status"] == "cancelled"


def test_a_balancer_still_finds_the_region_ready_and_in_time(api, outage):
    outage.begin()
    for _ in range(3):
        with within(SOON):
            answer = api.get("/health/ready")
        down = {name for name, state in answer.data["dependencies"].items() if state == "down"}
        assert (answer.status, down) == (200, {"globalDatabase", "globalRedis"})
    outage.end()
    time.sleep(2.2)  # what hangs in the black hole gives up
    assert set(api.get("/health/ready").data["dependencies"].values()) == {"up"}


def test_flags_and_app_config_keep_their_last_value(outage):
    FeatureFlag.objects.create(key=FLAG, value=True)
    AppConfig.objects.create(key="LIMIT", value=7)
    assert (flags.is_enabled(FLAG), config.get("LIMIT", 1)) == (True, 7)
    outage.begin()
    with within(BOUNDED):
        assert flags.is_enabled(FLAG) is True
    # Only the first one waits, whatever it is that is read next.
    with within(SOON):
        for _ in range(20):
            assert (flags.is_enabled(FLAG), config.get("LIMIT", 1)) == (True, 7)
            assert flags.is_enabled("AI_SEARCH_ENABLED") is False


def test_a_process_that_starts_in_the_outage_finds_the_last_value_of_its_region(outage):
    FeatureFlag.objects.create(key=FLAG, value=True)
    assert flags.is_enabled(FLAG) is True
    assert get_redis_connection("default").get(f"flag:{FLAG}:last") == b"true"
    flags.shared.last_known.clear()
    outage.begin()
    assert flags.is_enabled(FLAG) is True
    # What no process of the region ever read is off.
    assert flags.is_enabled("AI_SEARCH_ENABLED") is False
    assert config.get("LIMIT", 5) == 5


def test_what_the_other_region_read_is_kept_here_as_well(outage):
    """The global Redis answers with what a process far away has put there."""
    get_redis_connection("global").set(f"flag:{FLAG}", b"true", ex=5)
    assert flags.is_enabled(FLAG) is True
    flags.shared.last_known.clear()
    outage.begin()
    assert flags.is_enabled(FLAG) is True


def test_after_the_outage_a_switch_is_seen_within_seconds(outage, monkeypatch):
    monkeypatch.setattr(shared, "REST_SECONDS", 0.3)
    FeatureFlag.objects.create(key=FLAG, value=True)
    assert flags.is_enabled(FLAG) is True
    outage.begin()
    assert flags.is_enabled(FLAG) is True
    time.sleep(0.4)
    with within(SOON):  # somebody looks after the stores, and it is not this caller
        assert flags.is_enabled(FLAG) is True
    outage.end()
    flags.switch(FLAG, False)
    get_redis_connection("global").delete(f"flag:{FLAG}")
    deadline = time.monotonic() + 8
    while flags.is_enabled(FLAG) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert flags.is_enabled(FLAG) is False
    assert shared._resting == {}


def test_a_new_slug_is_refused_with_a_clear_503_and_nothing_is_written(api, outage):
    user = ParentFactory().user
    outage.begin()
    with within(BOUNDED):
        answer = api.as_user(user).post("/v1/provider/profile", {"businessName": "Blue Fin"})
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert "register of slugs" in answer.error["message"]
    assert int(answer.headers["Retry-After"]) > 0
    assert not ProviderAccount.objects.exists()
    user.refresh_from_db()
    assert user.role == "parent"
    outage.end()
    assert api.as_user(user).post("/v1/provider/profile", {"businessName": "Blue Fin"}).status == 201


def test_averages_catch_up(api, outage):
    booking = BookingFactory(status="completed", session__starts_at=in_days(-3))
    outage.begin()
    with within(SOON):
        body = {"bookingId": str(booking.pk), "rating": 5}
        assert api.as_user(booking.parent.user).post("/v1/reviews", body).status == 201
    with within(BOUNDED):
        assert reviews.push_ratings() == 0
    assert RatingStale.objects.count() == 1
    outage.end()
    assert reviews.push_ratings() == 1
    assert set(RatingAggregate.objects.values_list("count", "average")) == {(1, 5)}


def test_the_slug_of_an_erased_provider_is_given_back_later(api, outage, sandbox, settings, now):
    owner = ProviderUserFactory(provider_account__type="individual")
    SlugReservation.objects.create(slug=owner.provider_account.slug, region="us")
    outage.begin()
    with within(BOUNDED):
        assert api.as_user(owner.user).delete("/v1/auth/account").status == 200
    request = owner.user.erasure_requests.get()
    assert (request.status, request.auth_id) == ("erased", "")
    assert request.error.startswith("free_slugs: SlugsOutOfReach")
    outage.end()
    assert SlugReservation.objects.exists()
    erasure.go_on(request.pk, now=request.next_step_at)
    assert not SlugReservation.objects.exists()
