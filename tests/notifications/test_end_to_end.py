"""After the booking, from end to end: the API, a real Celery worker on a real broker, and a real mail server."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from celery import Celery
from django.db import connections
from redis import Redis

from bookings.models import Booking, Review
from juniro.celery import app
from marketplace.models import Session
from notifications.models import Notification
from tests.conftest import ROOT, WORKER
from tests.factories import (
    ChildFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60  # seconds, on a machine with much else to do; it takes some five


@pytest.fixture
def worker(mailserver, monkeypatch, tasks):
    """A Celery worker on this test's database, mail server and broker; `send_task` really sends."""
    broker = f"{os.environ['CELERY_BROKER_URL'].rpartition('/')[0]}/{40 + WORKER}"
    env = os.environ | {
        "CELERY_BROKER_URL": broker,
        "EMAIL_URL": f"smtp://127.0.0.1:{mailserver.port}",
        "LOG_LEVEL": "WARNING",
    }
    for name, alias in (("DATABASE_URL", "default"), ("GLOBAL_DATABASE_URL", "global")):
        database = connections[alias].settings_dict["NAME"]
        env[name] = urlsplit(os.environ[name])._replace(path=f"/{database}").geturl()
    send_task = Celery.send_task.__get__(app)
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "warning"]
    command = [sys.executable, "-m", "celery", "--quiet", "--app", "juniro", "worker", "--pool", "solo", *quiet]
    with Redis.from_url(broker) as redis, app.connection_for_write(broker) as connection:
        redis.flushdb()
        monkeypatch.setattr(app, "send_task", lambda name, args=(), **_: send_task(name, args, connection=connection))
        with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as process:
            yield process
            process.terminate()
        redis.flushdb()


@pytest.fixture
def noon_tomorrow():
    """About noon of tomorrow in a zone where it is about noon now, and that zone."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    ahead = 12 - now.hour
    return now + timedelta(days=1), f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def inbox(mailserver, address) -> list[str]:
    pairs = zip(mailserver.mails, mailserver.recipients, strict=True)
    return [message["Subject"].partition(":")[0] for message, to in pairs if to == address]


def until(condition, worker) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert worker.poll() is None, "the worker ended"
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)


def test_after_the_booking(api, worker, mailserver, noon_tomorrow):
    starts_at, zone = noon_tomorrow
    offering = OfferingFactory(price_cents=0, activity__title="Swim Starters")
    location = LocationFactory(provider=offering.activity.provider, city=CityFactory(name="Noon", timezone=zone))
    session = SessionFactory(offering=offering, location=location, starts_at=starts_at)
    owner = ProviderUserFactory(provider_account=offering.activity.provider).user
    child = ChildFactory(parent__user__email="ana@example.com")
    parent = child.parent.user

    def mails() -> tuple[list[str], list[str]]:
        return inbox(mailserver, parent.email), inbox(mailserver, owner.email)

    # Booked, and both sides hear of it.
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    answer = api.as_user(parent).post("/v1/me/bookings", body, Idempotency_Key="book")
    assert answer.data["status"] == "confirmed"
    until(lambda: mails() == (["Booked"], ["New booking"]), worker)
    confirmation = mailserver.mails[mailserver.recipients.index(parent.email)]
    [file] = confirmation.iter_attachments()
    assert (file.get_content_type(), file.get_filename()) == ("text/calendar", "booking.ics")
    calendar = file.get_content()
    assert f"DTSTART:{starts_at:%Y%m%dT%H%M%SZ}" in calendar and "Swim Starters" in calendar
    assert child.first_name not in calendar

    # The day before.
    Booking.objects.update(confirmed_at=starts_at - timedelta(days=3))
    for _ in range(2):
        app.send_task("bookings.tasks.remind_of_sessions")
    until(lambda: mails()[0] == ["Booked", "Reminder"], worker)

    # The child was there; a day later the parent is asked.
    Session.objects.update(starts_at=starts_at - timedelta(days=3), ends_at=starts_at - timedelta(days=3, hours=-1))
    for _ in range(2):
        app.send_task("bookings.tasks.complete_ended")
    until(lambda: mails()[0] == ["Booked", "Reminder", "How was Swim Starters?"], worker)

    # They write, the provider hears of it and responds, and they hear of that.
    review = {"bookingId": answer.data["id"], "rating": 5, "comment": "Warm water"}
    assert api.as_user(parent).post("/v1/reviews", review).status == 201
    until(lambda: mails()[1] == ["New booking", "New review of Swim Starters"], worker)
    path = f"/v1/provider/reviews/{Review.objects.get().pk}/response"
    assert api.as_user(owner).post(path, {"response": "Thank you"}).status in (200, 201)
    until(lambda: len(mails()[0]) == 4, worker)
    assert mails()[0][3].endswith("responded to your review")

    # And nobody hears anything twice.
    app.send_task("notifications.tasks.deliver_due")
    until(lambda: not Notification.objects.exclude(status="sent").exists(), worker)
    assert len(mailserver.mails) == Notification.objects.count() == 6
    assert len({message["Message-ID"] for message in mailserver.mails}) == 6
