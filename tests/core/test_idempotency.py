"""Idempotency-Key, seen through POST /v1/me/bookings."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from bookings.models import Booking
from core.models import IdempotencyKey
from core.tasks import purge_idempotency_keys
from tests.factories import ChildFactory, SessionFactory

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/me/bookings"


@pytest.fixture
def child():
    return ChildFactory()


@pytest.fixture
def session():
    return SessionFactory()


@pytest.fixture
def caller(api, child):
    return api.as_user(child.parent.user)


@pytest.fixture
def body(session, child):
    return {"sessionId": str(session.pk), "childId": str(child.pk)}


def enrolled(session) -> int:
    session.refresh_from_db()
    return session.enrolled


@pytest.mark.parametrize("key", [None, "", "x" * 256, "schlüssel", "a\tb", "鍵", "a\x7f", "a\nb"])
def test_a_missing_or_odd_key_is_refused(caller, body, key):
    answer = caller.post(BOOKINGS, body, **({} if key is None else {"Idempotency_Key": key}))
    assert answer.code == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert (Booking.objects.count(), IdempotencyKey.objects.count()) == (0, 0)


@pytest.mark.parametrize("key", ["1", "x" * 255, "a key with ~ !\"'; DROP TABLE--"])
def test_any_printable_key_will_do(caller, body, key):
    assert caller.post(BOOKINGS, body, Idempotency_Key=key).status == 201
    assert IdempotencyKey.objects.get().key == key


def test_the_same_request_again_has_the_same_answer_and_no_second_effect(caller, body, session):
    first = caller.post(BOOKINGS, body, Idempotency_Key="one")
    assert "Idempotency-Replayed" not in first.headers
    Booking.objects.update(amount_cents=1)  # even where a new answer would differ
    for _ in range(2):
        again = caller.post(BOOKINGS, body, Idempotency_Key="one")
        assert (again.status, again.content) == (201, first.content)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert (Booking.objects.count(), IdempotencyKey.objects.count(), enrolled(session)) == (1, 1, 1)


def test_spelling_and_order_of_the_fields_do_not_make_another_request(caller, session, child):
    first = f'{{"sessionId": "{session.pk}", "childId": "{child.pk}"}}'.encode()
    same = f'{{"child_id":"{child.pk}",   "session_id":"{session.pk}"}}'.encode()
    one = caller.post(BOOKINGS, raw=first, Idempotency_Key="one")
    two = caller.post(BOOKINGS, raw=same, Idempotency_Key="one")
    assert (two.status, two.content) == (201, one.content)


def test_another_request_under_the_same_key_is_refused(caller, body, session):
    caller.post(BOOKINGS, body, Idempotency_Key="one")
    for other in (body | {"offeringId": str(session.offering_id)}, body | {"sessionId": str(SessionFactory().pk)}, {}):
        answer = caller.post(BOOKINGS, other, Idempotency_Key="one")
        assert answer.code == (422, "IDEMPOTENCY_KEY_REUSED")
        assert "Idempotency-Replayed" not in answer.headers
    assert Booking.objects.count() == 1
    assert caller.post(BOOKINGS, body, Idempotency_Key="one").status == 201


def test_another_path_under_the_same_key_is_another_request(caller, body):
    caller.post(BOOKINGS, body, Idempotency_Key="one")
    IdempotencyKey.objects.update(path="/v1/payments/checkout")
    assert caller.post(BOOKINGS, body, Idempotency_Key="one").code == (422, "IDEMPOTENCY_KEY_REUSED")


def test_keys_of_two_users_have_nothing_to_do_with_each_other(api, caller, body, session):
    other = ChildFactory()
    mine = caller.post(BOOKINGS, body, Idempotency_Key="one")
    theirs = api.as_user(other.parent.user).post(
        BOOKINGS, {"sessionId": str(session.pk), "childId": str(other.pk)}, Idempotency_Key="one"
    )
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.data["id"] != theirs.data["id"]
    assert enrolled(session) == 2


def test_a_strangers_key_shows_nothing(api, caller, body):
    caller.post(BOOKINGS, body, Idempotency_Key="one")
    answer = api.as_user(ChildFactory().parent.user).post(BOOKINGS, body, Idempotency_Key="one")
    assert answer.code == (404, "NOT_FOUND")


def test_a_refusal_is_not_kept_so_a_retry_works(caller, body, session):
    type(session).objects.update(status="cancelled")
    assert caller.post(BOOKINGS, body, Idempotency_Key="one").code == (409, "SESSION_NOT_BOOKABLE")
    assert IdempotencyKey.objects.count() == 0
    type(session).objects.update(status="scheduled")
    answer = caller.post(BOOKINGS, body, Idempotency_Key="one")
    assert answer.status == 201
    assert "Idempotency-Replayed" not in answer.headers


def test_a_body_that_is_not_valid_keeps_no_key(caller, body):
    assert caller.post(BOOKINGS, {"sessionId": "x"}, Idempotency_Key="one").code == (400, "VALIDATION_ERROR")
    assert caller.post(BOOKINGS, raw=b"{", Idempotency_Key="one").code == (400, "MALFORMED_REQUEST")
    assert caller.post(BOOKINGS, body, Idempotency_Key="one").status == 201


def test_who_is_not_signed_in_is_told_that_first(api, body):
    assert api.post(BOOKINGS, body).code == (401, "UNAUTHORIZED")
    assert IdempotencyKey.objects.count() == 0


def test_an_expired_key_is_free_again(caller, body, session):
    first = caller.post(BOOKINGS, body, Idempotency_Key="one")
    IdempotencyKey.objects.update(expires_at=timezone.now())
    other = body | {"childId": str(ChildFactory(parent=Booking.objects.get().parent).pk)}
    answer = caller.post(BOOKINGS, other, Idempotency_Key="one")
    assert (answer.status, "Idempotency-Replayed" in answer.headers) == (201, False)
    assert answer.data["id"] != first.data["id"]
    assert IdempotencyKey.objects.get().expires_at > timezone.now() + timedelta(hours=23)
    assert caller.post(BOOKINGS, other, Idempotency_Key="one").content == answer.content


def test_keys_are_kept_for_the_configured_time(caller, body, settings, now):
    settings.IDEMPOTENCY_TTL_HOURS = 2
    caller.post(BOOKINGS, body, Idempotency_Key="one")
    kept = IdempotencyKey.objects.get().expires_at - now
    assert timedelta(hours=2) <= kept < timedelta(hours=2, minutes=1)


def test_the_purge_takes_expired_keys_only(caller, body, now):
    caller.post(BOOKINGS, body, Idempotency_Key="one")
    fresh = IdempotencyKey.objects.get()
    IdempotencyKey.objects.create(
        key="old", user_id=fresh.user_id, method="POST", path="/", body_sha256="", expires_at=now - timedelta(seconds=1)
    )
    assert purge_idempotency_keys() == 1
    assert purge_idempotency_keys() == 0
    assert IdempotencyKey.objects.get() == fresh


# --- Twins ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_twins_one_acts_and_the_others_wait_for_its_answer(caller, body, session, at_once):
    answers = at_once(lambda _: caller.post(BOOKINGS, body, Idempotency_Key="one"), list(range(6)))
    assert [answer.status for answer in answers] == [201] * 6
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 5
    assert (Booking.objects.count(), enrolled(session)) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_twins_with_different_bodies_give_one_booking_and_refusals(caller, body, child, at_once):
    sibling = body | {"childId": str(ChildFactory(parent=child.parent).pk)}
    answers = at_once(lambda given: caller.post(BOOKINGS, given, Idempotency_Key="one"), [body, sibling] * 2)
    assert sorted(answer.status for answer in answers) == [201, 201, 422, 422]
    assert Booking.objects.count() == 1


@pytest.fixture
def held_key(body, child):
    """Another request under the key `one` that is not finished until this is set."""
    finish, inserted = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            IdempotencyKey.objects.create(
                key="one",
                user_id=child.parent.user_id,
                method="POST",
                path=BOOKINGS,
                body_sha256="",
                expires_at=timezone.now() + timedelta(hours=1),
            )
            inserted.set()
            finish.wait(10)
            transaction.set_rollback(True)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    inserted.wait(5)
    yield finish
    finish.set()
    thread.join(5)


@pytest.mark.django_db(transaction=True)
def test_a_twin_that_waits_too_long_is_told_to_come_back(caller, body, session, held_key):
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        answer = caller.post(BOOKINGS, body, Idempotency_Key="one")
        assert answer.code == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert answer.headers["Retry-After"] == "1"
        assert (Booking.objects.count(), enrolled(session)) == (0, 0)
        assert caller.post(BOOKINGS, body, Idempotency_Key="two").status == 201  # another key does not wait
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_twin_takes_over_if_the_first_one_fails(caller, body, session, held_key):
    threading.Timer(0.3, held_key.set).start()
    answer = caller.post(BOOKINGS, body, Idempotency_Key="one")
    assert (answer.status, "Idempotency-Replayed" in answer.headers) == (201, False)
    assert enrolled(session) == 1
