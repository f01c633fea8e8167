"""POST /v1/me/bookings."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.utils.dateparse import parse_datetime

from bookings.models import Booking, Seat
from core.models import IdempotencyKey
from marketplace.models import Activity, Offering, Session
from payments.models import Payment
from providers.models import ProviderAccount
from tests.factories import (
    BookingFactory,
    ChildFactory,
    CityFactory,
    CountryFactory,
    LocationFactory,
    OfferingFactory,
    SessionFactory,
    UserFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/me/bookings"


def book(api, child, session, *, key="one", **more):
    body = {"sessionId": str(session.pk), "childId": str(child.pk), **more}
    return api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key=key)


def sessions_of(offering, count, **fields):
    """Weekly sessions of one offering, the first a week from now."""
    return [SessionFactory(offering=offering, starts_at=in_days(7 * (n + 1)), **fields) for n in range(count)]


def enrolled(*sessions):
    return [Session.objects.values_list("enrolled", flat=True).get(pk=each.pk) for each in sessions]


def nothing_happened():
    """No booking, no seat, no key: the refusal left no trace, and a retry with its key may work."""
    assert not Booking.objects.exists()
    assert not Seat.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert not Session.objects.filter(enrolled__gt=0).exists()


def iso(moment):
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def test_a_booking_holds_a_seat_until_it_is_paid(api, now, settings):
    session, child = SessionFactory(), ChildFactory()
    answer = book(api, child, session)
    assert answer.status == 201
    booking = Booking.objects.get()
    assert (booking.parent, booking.child, booking.session, booking.offering) == (
        child.parent,
        child,
        session,
        session.offering,
    )
    assert booking.status == "pending_payment"
    hold = timedelta(minutes=settings.BOOKING_HOLD_MINUTES)
    assert timedelta(0) <= booking.expires_at - now - hold < timedelta(seconds=10)
    assert enrolled(session) == [1]
    assert list(Seat.objects.values_list("booking", "session", "child", "released_at")) == [
        (booking.pk, session.pk, child.pk, None)
    ]
    assert not Payment.objects.exists()


def test_the_answer_has_exactly_the_contracts_shape(api):
    session, child = SessionFactory(), ChildFactory()
    answer = book(api, child, session, offeringId=str(session.offering_id))
    booking, activity = Booking.objects.get(), session.activity
    assert answer.body == {
        "success": True,
        "data": {
            "id": str(booking.pk),
            "status": "pending_payment",
            "sessionId": str(session.pk),
            "offeringId": str(session.offering_id),
            "childId": str(child.pk),
            "amountCents": 2500,
            "currency": "USD",
            "expiresAt": iso(booking.expires_at),
            "sessions": [
                {
                    "id": str(session.pk),
                    "offeringId": str(session.offering_id),
                    "locationId": str(session.location_id),
                    "startsAt": iso(session.starts_at),
                    "endsAt": iso(session.ends_at),
                    "timezone": "America/Chicago",
                    "capacity": 10,
                    "enrolled": 1,
                    "spotsLeft": 9,
                    "status": "scheduled",
                }
            ],
            "activity": {
                "id": str(activity.pk),
                "title": activity.title,
                "slug": activity.slug,
                "provider": activity.provider.business_name,
            },
            "payment": None,
            "cancellationReason": "",
            "createdAt": iso(booking.created_at),
            "warnings": [],
        },
    }


def test_names_in_snake_case_are_taken_too(api):
    session, child = SessionFactory(), ChildFactory()
    body = {"session_id": str(session.pk), "child_id": str(child.pk), "offering_id": str(session.offering_id)}
    assert api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key="one").status == 201


def test_a_free_offering_is_confirmed_at_once(api):
    session, child = SessionFactory(offering__price_cents=0), ChildFactory()
    answer = book(api, child, session)
    assert (answer.status, answer.data["status"], answer.data["amountCents"]) == (201, "confirmed", 0)
    assert (answer.data["expiresAt"], answer.data["payment"]) == (None, None)
    booking = Booking.objects.get()
    assert (booking.confirmed_at is not None, booking.expires_at) == (True, None)
    assert enrolled(session) == [1]


def test_the_price_is_agreed_when_the_booking_is_made(api):
    session, child = SessionFactory(), ChildFactory()
    book(api, child, session)
    session.offering.price_cents = 9900
    session.offering.save()
    assert api.as_user(child.parent.user).get(BOOKINGS).data[0]["amountCents"] == 2500


def test_a_provider_may_book_for_their_own_child(api):
    child = ChildFactory(parent__user__role="provider")
    assert book(api, child, SessionFactory()).status == 201


# --- What each type of offering covers --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["single_session", "camp"])
def test_a_single_session_and_a_camp_cover_the_chosen_session_only(api, kind):
    sessions = sessions_of(OfferingFactory(type=kind), 3)
    answer = book(api, ChildFactory(), sessions[1])
    assert [each["id"] for each in answer.data["sessions"]] == [str(sessions[1].pk)]
    assert enrolled(*sessions) == [0, 1, 0]


def test_a_package_covers_the_chosen_session_and_the_next_scheduled_ones(api):
    offering = OfferingFactory(type="multi_session", session_count=3, price_cents=9000)
    sessions = sessions_of(offering, 6)
    sessions[2].move(Session.Status.CANCELLED)
    SessionFactory(offering=OfferingFactory(activity=offering.activity), starts_at=in_days(15))
    answer = book(api, ChildFactory(), sessions[1])
    wanted = [sessions[1], sessions[3], sessions[4]]
    assert [each["id"] for each in answer.data["sessions"]] == [str(each.pk) for each in wanted]
    assert (answer.data["sessionId"], answer.data["amountCents"]) == (str(sessions[1].pk), 9000)
    assert enrolled(*sessions) == [0, 1, 0, 1, 1, 0]
    assert Seat.objects.count() == 3


def test_a_package_with_too_few_sessions_left_is_refused(api):
    sessions = sessions_of(OfferingFactory(type="multi_session", session_count=3), 4)
    answer = book(api, ChildFactory(), sessions[2])
    assert answer.code == (409, "SESSION_NOT_BOOKABLE")
    assert answer.error["message"] == "Only 2 of the 3 sessions are left from here."
    nothing_happened()
    assert book(api, ChildFactory(), sessions[1]).status == 201


def test_a_term_covers_all_that_is_left_of_it(api):
    offering = OfferingFactory(type="term", price_cents=20000)
    over = SessionFactory(offering=offering, starts_at=in_days(-7))
    sessions = sessions_of(offering, 4)
    sessions[3].move(Session.Status.CANCELLED)
    answer = book(api, ChildFactory(), sessions[0])
    assert [each["id"] for each in answer.data["sessions"]] == [str(each.pk) for each in sessions[:3]]
    assert enrolled(over, *sessions) == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("kind", ["single_session", "camp", "multi_session", "term"])
def test_what_has_begun_cannot_be_chosen_whatever_the_offering_covers(api, kind):
    offering = OfferingFactory(type=kind, session_count=2)
    begun = SessionFactory(offering=offering, starts_at=in_days(-0.01))
    sessions = sessions_of(offering, 3)
    answer = book(api, ChildFactory(), begun)
    assert (answer.code, answer.error["message"]) == ((409, "SESSION_NOT_BOOKABLE"), "This session has started.")
    assert enrolled(begun, *sessions) == [0, 0, 0, 0]
    nothing_happened()


def test_a_camp_of_several_days_is_one_seat(api):
    session = SessionFactory(offering__type="camp", ends_at=in_days(12))
    answer = book(api, ChildFactory(), session)
    assert (answer.status, len(answer.data["sessions"]), Seat.objects.count()) == (201, 1, 1)


def test_a_package_of_one_is_like_a_single_session(api):
    sessions = sessions_of(OfferingFactory(type="multi_session", session_count=1), 2)
    assert book(api, ChildFactory(), sessions[0]).status == 201
    assert enrolled(*sessions) == [1, 0]


def test_seats_of_a_term_are_all_or_nothing(api):
    sessions = sessions_of(OfferingFactory(type="term"), 4, capacity=1)
    BookingFactory(session=sessions[3])
    answer = book(api, ChildFactory(), sessions[0])
    assert answer.code == (409, "SESSION_FULL")
    assert [row["sessionId"] for row in answer.error["details"]] == [str(sessions[3].pk)]
    assert enrolled(*sessions) == [0, 0, 0, 1]
    assert (Booking.objects.count(), Seat.objects.count()) == (1, 1)


def test_seats_of_a_package_are_all_or_nothing_and_the_full_dates_are_named(api):
    offering = OfferingFactory(type="multi_session", session_count=4)
    sessions = [
        SessionFactory(offering=offering, starts_at=datetime(2031, 6, day, 22, 0, tzinfo=UTC), capacity=1)
        for day in (3, 10, 17, 24)
    ]
    for full in (sessions[1], sessions[3]):
        BookingFactory(session=full)
    bookings, seats = Booking.objects.count(), Seat.objects.count()
    answer = book(api, ChildFactory(), sessions[0])
    assert answer.code == (409, "SESSION_FULL")
    assert answer.error["details"] == [
        {"field": "sessionId", "message": "Tuesday 10 June 2031, 17:00", "sessionId": str(sessions[1].pk)},
        {"field": "sessionId", "message": "Tuesday 24 June 2031, 17:00", "sessionId": str(sessions[3].pk)},
    ]
    assert enrolled(*sessions) == [0, 1, 0, 1]
    assert (Booking.objects.count(), Seat.objects.count()) == (bookings, seats)


def test_a_full_session_is_refused_until_a_seat_is_given_back(api):
    session = SessionFactory(capacity=1)
    other = BookingFactory(session=session)
    child = ChildFactory()
    assert book(api, child, session).code == (409, "SESSION_FULL")
    Seat.objects.filter(booking=other).update(released_at=in_days(0))
    Session.objects.filter(pk=session.pk).update(enrolled=0)
    again = book(api, child, session)
    assert (again.status, again.headers.get("Idempotency-Replayed")) == (201, None)


# --- What cannot be booked --------------------------------------------------------------------------------------------


def set_session(session, **fields):
    Session.objects.filter(pk=session.pk).update(**fields)


def set_activity(session, **fields):
    Activity.objects.filter(pk=session.activity_id).update(**fields)


def set_provider(session, **fields):
    ProviderAccount.objects.filter(pk=session.activity.provider_id).update(**fields)


def set_offering(session, **fields):
    Offering.objects.filter(pk=session.offering_id).update(**fields)


def hide_category(session):
    session.activity.category.is_active = False
    session.activity.category.save()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: set_session(s, status="cancelled"), "This session is cancelled."),
        (lambda s: set_session(s, status="completed"), "This session is completed."),
        (lambda s: set_session(s, starts_at=in_days(0)), "This session has started."),
        (lambda s: set_activity(s, status="draft"), "This activity is not published."),
        (lambda s: set_activity(s, status="archived"), "This activity is not published."),
        (hide_category, "This activity is not published."),
        (lambda s: set_provider(s, status="pending"), "This provider is not verified."),
        (lambda s: set_provider(s, status="suspended"), "This provider is not verified."),
        (lambda s: set_provider(s, status="rejected"), "This provider is not verified."),
        (lambda s: set_offering(s, status="inactive"), "This offering is no longer sold."),
    ],
)
def test_a_session_that_is_not_open_cannot_be_booked(api, change, message):
    session = SessionFactory()
    change(session)
    answer = book(api, ChildFactory(), session)
    assert answer.code == (409, "SESSION_NOT_BOOKABLE")
    assert answer.error["message"] == message
    nothing_happened()


def test_one_closed_session_closes_the_package_that_starts_with_it(api):
    sessions = sessions_of(OfferingFactory(type="multi_session", session_count=2), 3)
    sessions[0].move(Session.Status.CANCELLED)
    assert book(api, ChildFactory(), sessions[0]).code == (409, "SESSION_NOT_BOOKABLE")
    nothing_happened()


def test_a_child_has_one_seat_in_a_session(api):
    first = BookingFactory()
    answer = book(api, first.child, first.session)
    assert answer.code == (409, "ALREADY_BOOKED")
    assert [row["sessionId"] for row in answer.error["details"]] == [str(first.session_id)]
    assert (Booking.objects.count(), Seat.objects.count(), enrolled(first.session)) == (1, 1, [1])


def test_a_package_that_overlaps_a_booked_session_names_it(api):
    sessions = sessions_of(OfferingFactory(type="multi_session", session_count=3), 3)
    child = ChildFactory()
    BookingFactory(session=sessions[2], child=child)
    answer = book(api, child, sessions[0])
    assert answer.code == (409, "ALREADY_BOOKED")
    assert [row["sessionId"] for row in answer.error["details"]] == [str(sessions[2].pk)]
    assert enrolled(*sessions) == [0, 0, 1]


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_a_child_whose_booking_is_over_may_be_booked_again(api, status):
    first = BookingFactory(status=status)
    assert book(api, first.child, first.session).status == 201
    assert enrolled(first.session) == [1]


def test_a_sibling_may_sit_in_the_same_session(api):
    first = BookingFactory()
    assert book(api, ChildFactory(parent=first.parent), first.session).status == 201


def chicago(*when):
    return datetime(*when, tzinfo=ZoneInfo("America/Chicago"))


@pytest.mark.parametrize(
    ("birth_date", "starts_at", "age", "allowed"),
    [
        # The fifth birthday is the day of the session.
        (date(2026, 6, 10), chicago(2031, 6, 10, 10), 5, True),
        (date(2026, 6, 11), chicago(2031, 6, 10, 10), 4, False),
        # In UTC it is the birthday already (01:30 on the 11th), in Austin it is the evening before.
        (date(2026, 6, 11), chicago(2031, 6, 10, 20, 30), 4, False),
        (date(2026, 6, 10), chicago(2031, 6, 10, 20, 30), 5, True),
        # Thirteen tomorrow, and twelve is allowed all day today; in UTC it would be tomorrow.
        (date(2018, 6, 11), chicago(2031, 6, 10, 23, 59), 12, True),
        (date(2018, 6, 10), chicago(2031, 6, 10, 0, 1), 13, False),
        # Born on 29 February: five on 1 March of a common year.
        (date(2024, 2, 29), chicago(2029, 2, 28, 10), 4, False),
        (date(2024, 2, 29), chicago(2029, 3, 1, 10), 5, True),
    ],
)
def test_age_counts_on_the_sessions_day_where_it_takes_place(api, birth_date, starts_at, age, allowed):
    session, child = SessionFactory(starts_at=starts_at.astimezone(UTC)), ChildFactory(birth_date=birth_date)
    answer = book(api, child, session)
    if allowed:
        assert answer.status == 201
        return
    assert answer.code == (409, "AGE_NOT_ELIGIBLE")
    message = f"The child is {age} on that day; this activity is for 5 to 12."
    assert answer.error["message"] == message
    assert answer.error["details"] == [{"field": "childId", "message": message}]
    nothing_happened()


@pytest.mark.parametrize(
    ("ages", "years", "words"),
    [((None, 7), 8, "up to 7"), ((9, None), 8, "9 and older"), ((None, None), 8, None), ((8, 8), 8, None)],
)
def test_an_age_range_may_be_open_at_either_end(api, ages, years, words):
    session = SessionFactory(offering__activity__age_min=ages[0], offering__activity__age_max=ages[1])
    child = ChildFactory(birth_date=in_days(-365.25 * years - 60).date())
    answer = book(api, child, session)
    assert answer.status == (409 if words else 201)
    if words:
        assert answer.error["message"].endswith(f"this activity is for {words}.")


def test_a_session_in_the_other_region_cannot_be_booked(api):
    city = CityFactory(country=CountryFactory(region="in"))
    session = SessionFactory(location=LocationFactory(city=city))
    assert book(api, ChildFactory(), session).code == (409, "CROSS_REGION_BOOKING")
    nothing_happened()


def test_an_offering_in_the_other_regions_money_cannot_be_booked(api):
    session = SessionFactory(offering__currency="INR")
    assert book(api, ChildFactory(), session).code == (409, "CROSS_REGION_BOOKING")
    nothing_happened()


# --- Who may book, and what must be sent ------------------------------------------------------------------------------


def test_a_strangers_child_does_not_exist(api):
    session, mine, strangers = SessionFactory(), ChildFactory(), ChildFactory()
    body = {"sessionId": str(session.pk), "childId": str(strangers.pk)}
    answer = api.as_user(mine.parent.user).post(BOOKINGS, body, Idempotency_Key="one")
    assert answer.code == (404, "NOT_FOUND")
    assert answer.error["details"] == [{"field": "childId", "message": "There is no such child."}]
    nothing_happened()


def test_a_removed_child_does_not_exist(api):
    child = ChildFactory(removed_at=in_days(-1), birth_date=None)
    assert book(api, child, SessionFactory()).code == (404, "NOT_FOUND")
    nothing_happened()


def test_an_unknown_session_is_not_found(api):
    child = ChildFactory()
    body = {"sessionId": str(uuid4()), "childId": str(child.pk)}
    answer = api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key="one")
    assert answer.code == (404, "NOT_FOUND")
    assert answer.error["details"] == [{"field": "sessionId", "message": "There is no such session."}]
    nothing_happened()


def test_an_offering_that_the_session_is_not_of_is_refused(api):
    session = SessionFactory()
    other = OfferingFactory(activity=session.activity)
    answer = book(api, ChildFactory(), session, offeringId=str(other.pk))
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [row["field"] for row in answer.error["details"]] == ["offeringId"]
    nothing_happened()


@pytest.mark.parametrize("field", ["amountCents", "status", "expiresAt", "parentId", "price"])
def test_an_unknown_field_is_refused(api, field):
    answer = book(api, ChildFactory(), SessionFactory(), **{field: 1})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [row["field"] for row in answer.error["details"]] == [field]
    nothing_happened()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["sessionId", "childId"]),
        ({"sessionId": "x", "childId": None}, ["sessionId", "childId"]),
        ({"sessionId": str(uuid4()), "childId": str(uuid4()), "offeringId": None}, ["offeringId"]),
        ([], [""]),
        ("text", [""]),
        (7, [""]),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(api, body, fields):
    answer = api.as_user(UserFactory()).post(BOOKINGS, body, Idempotency_Key="one")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert sorted(row["field"] for row in answer.error["details"]) == sorted(fields)
    nothing_happened()


@pytest.mark.parametrize("key", [None, "", "kéy", "x" * 256, "a\tb"])
def test_a_missing_or_odd_idempotency_key_is_refused(api, key):
    session, child = SessionFactory(), ChildFactory()
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    headers = {} if key is None else {"Idempotency_Key": key}
    answer = api.as_user(child.parent.user).post(BOOKINGS, body, **headers)
    assert answer.code == (400, "IDEMPOTENCY_KEY_REQUIRED")
    nothing_happened()


@pytest.mark.parametrize("key", ["x", "x" * 255, "a b~!", "7b1f6a86-9e5c-4b7a-9d5e-0f4a3f6f0c11"])
def test_any_printable_key_of_up_to_255_characters_will_do(api, key):
    assert book(api, ChildFactory(), SessionFactory(), key=key).status == 201


def test_a_repeated_request_gets_the_very_same_bytes(api):
    session, child = SessionFactory(), ChildFactory()
    first = book(api, child, session)
    second = book(api, child, session)
    assert (first.status, first.headers.get("Idempotency-Replayed")) == (201, None)
    assert (second.status, second.headers["Idempotency-Replayed"]) == (201, "true")
    assert first.content == second.content
    assert (Booking.objects.count(), enrolled(session)) == (1, [1])


def test_the_order_of_a_bodys_fields_does_not_make_another_request(api):
    session, child = SessionFactory(), ChildFactory()
    client = api.as_user(child.parent.user)
    one = b'{"sessionId": "%s", "childId": "%s"}' % (str(session.pk).encode(), str(child.pk).encode())
    two = b'{ "child_id":"%s","session_id":"%s" }' % (str(child.pk).encode(), str(session.pk).encode())
    assert client.post(BOOKINGS, raw=one, Idempotency_Key="one").status == 201
    assert client.post(BOOKINGS, raw=two, Idempotency_Key="one").headers["Idempotency-Replayed"] == "true"


def test_a_key_that_was_used_for_another_request_is_refused(api):
    child = ChildFactory()
    first, second = SessionFactory(), SessionFactory()
    book(api, child, first)
    assert book(api, child, second).code == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (Booking.objects.count(), enrolled(second)) == (1, [0])


def test_a_key_belongs_to_its_user(api):
    session = SessionFactory()
    first, second = book(api, ChildFactory(), session), book(api, ChildFactory(), session)
    assert (first.status, second.status, second.headers.get("Idempotency-Replayed")) == (201, 201, None)
    assert enrolled(session) == [2]


def test_an_expired_key_may_be_used_again(api):
    child = ChildFactory()
    book(api, child, SessionFactory())
    IdempotencyKey.objects.update(expires_at=in_days(0))
    answer = book(api, child, SessionFactory())
    assert (answer.status, answer.headers.get("Idempotency-Replayed")) == (201, None)
    assert Booking.objects.count() == 2


def test_a_user_of_the_other_region_is_sent_there(api, settings):
    child = ChildFactory(parent__user__home_region="in")
    answer = book(api, child, SessionFactory())
    assert answer.code == (403, "REGION_MISMATCH")
    assert settings.REGION_API_URLS["in"] in answer.error["message"]
    nothing_happened()


def test_nobody_books_without_signing_in(api):
    assert api.post(BOOKINGS, {}, Idempotency_Key="one").code == (401, "UNAUTHORIZED")


def test_the_time_that_the_hold_ends_is_told_in_utc(api):
    answer = book(api, ChildFactory(), SessionFactory())
    assert answer.data["expiresAt"].endswith("Z")
    assert parse_datetime(answer.data["expiresAt"]) == Booking.objects.get().expires_at
