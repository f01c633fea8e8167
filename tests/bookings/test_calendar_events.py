"""GET /v1/calendars/{token}.ics as other programs read it: parsed by a library that did not write it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import vobject
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings import calendars, services
from bookings.models import CalendarFeed, Seat
from geography.models import City
from marketplace.models import Activity, Session
from payments.cancellations import cancel_booking
from providers.models import Location
from tests.factories import (
    BookingFactory,
    ChildFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)

pytestmark = pytest.mark.django_db


def family():
    return ChildFactory(parent__first_name="Ana", first_name="Mia", last_name="Lopez")


def booked(*sessions, child=None, **fields):
    return BookingFactory(
        session=sessions[0], seats=list(sessions), child=child or family(), **{"status": "confirmed", **fields}
    )


def feed_of(user, **scope):
    return CalendarFeed(user=user, **scope)


def parse(content):
    """The events of a calendar by id, after a look at what RFC 5545 asks of every line."""
    text = content.decode("utf-8")
    assert text.endswith("\r\n")
    lines = text.split("\r\n")
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", text), "lines end in CRLF"
    assert max(len(line.encode()) for line in lines) <= 75, "lines are folded"
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text), "no control characters"
    calendar = vobject.readOne(text)
    calendar.validate(raiseException=True)
    events = calendar.contents.get("vevent", [])
    for event in events:
        event.validate(raiseException=True)
    found = {event.uid.value: event for event in events}
    assert len(found) == len(events), "an id stands once"
    return found


def mine(child, now=None):
    return parse(calendars.read(feed_of(child.parent.user), now=now or in_days(0)))


def ours(session, now=None, **scope):
    account = session.activity.provider
    member = account.staff.first() or ProviderUserFactory(provider_account=account)
    return parse(calendars.read(feed_of(member.user, provider_account=account, **scope), now=now or in_days(0)))


def event(found, session):
    return found[f"{session.pk}@juniro"]


# --- A parent's feed -------------------------------------------------------------------------------------------------


def test_a_booking_is_an_event_at_its_time_and_place(settings):
    settings.APP_URL = "https://app.example"
    session = SessionFactory(
        starts_at=datetime(2030, 3, 9, 16, 0, tzinfo=UTC),
        offering__activity__title="Swim Starters",
        offering__activity__provider__business_name="Blue Fin",
    )
    booking = booked(session)
    (found,) = mine(booking.child, now=datetime(2030, 3, 1, tzinfo=UTC)).values()
    assert found.uid.value == f"{session.pk}@juniro"
    assert found.dtstart.value == datetime(2030, 3, 9, 16, 0, tzinfo=UTC)
    assert found.dtend.value == datetime(2030, 3, 9, 16, 45, tzinfo=UTC)
    assert found.summary.value == "Swim Starters"
    assert found.location.value == "Main pool, 1 Water Street, Austin"
    assert found.description.value == f"Blue Fin\nhttps://app.example/bookings/{booking.pk}"
    assert found.url.value == f"https://app.example/bookings/{booking.pk}"
    assert (found.status.value, found.transp.value, found.sequence.value) == ("CONFIRMED", "OPAQUE", "0")
    assert found.dtstamp.value == found.last_modified.value


def test_times_are_in_utc_on_the_wire():
    session = SessionFactory(starts_at=datetime(2030, 3, 9, 16, 0, tzinfo=UTC))
    content = calendars.read(feed_of(booked(session).parent.user), now=datetime(2030, 3, 1, tzinfo=UTC))
    assert b"DTSTART:20300309T160000Z\r\n" in content
    assert b"DTEND:20300309T164500Z\r\n" in content
    assert re.search(rb"DTSTAMP:\d{8}T\d{6}Z\r\n", content)


def test_a_package_is_an_event_for_each_session():
    sessions = [SessionFactory(starts_at=in_days(n)) for n in (1, 8, 15)]
    booking = booked(*sessions)
    assert set(mine(booking.child)) == {f"{each.pk}@juniro" for each in sessions}


def test_nothing_in_it_tells_of_the_child():
    booking = booked(SessionFactory())
    content = calendars.read(feed_of(booking.parent.user), now=in_days(0)).decode().replace("\r\n ", "")
    for secret in ("Mia", "Lopez", "Ana", str(booking.child_id), str(booking.parent_id)):
        assert secret not in content


def test_two_children_in_one_session_are_one_event_with_two_places():
    session, child = SessionFactory(), family()
    booked(session, child=child)
    booked(session, child=ChildFactory(parent=child.parent))
    (found,) = mine(child).values()
    assert found.summary.value == f"{session.activity.title} (2 places)"
    assert "2 places" in found.description.value


def test_somebody_elses_bookings_are_not_in_it():
    child = family()
    booked(SessionFactory())
    assert mine(child) == {}


@pytest.mark.parametrize("status", ["pending_payment", "expired", "cancelled"])
def test_what_was_never_confirmed_was_never_in_a_calendar(status):
    booking = booked(SessionFactory(), status=status)
    assert mine(booking.child) == {}


@pytest.mark.parametrize("status", ["completed", "no_show"])
def test_what_is_over_stays_for_a_while(status):
    booking = booked(SessionFactory(starts_at=in_days(-2)), status=status, confirmed_at=in_days(-9))
    (found,) = mine(booking.child).values()
    assert found.status.value == "CONFIRMED"


def test_it_reaches_a_month_back_and_a_year_ahead():
    child = family()
    near = [SessionFactory(starts_at=in_days(n)) for n in (-29.9, -1, 1, 365)]
    for session in (*near, SessionFactory(starts_at=in_days(-31)), SessionFactory(starts_at=in_days(367))):
        booked(session, child=child)
    assert set(mine(child)) == {f"{each.pk}@juniro" for each in near}


def test_it_has_an_end(monkeypatch):
    monkeypatch.setattr(calendars, "MOST_EVENTS", 2)
    child = family()
    soon = [SessionFactory(starts_at=in_days(n)) for n in (1, 2)]
    for session in (SessionFactory(starts_at=in_days(3)), *soon):
        booked(session, child=child)
    assert set(mine(child)) == {f"{each.pk}@juniro" for each in soon}


# --- Changes ---------------------------------------------------------------------------------------------------------


def numbers(found):
    return found.status.value, int(found.sequence.value), found.summary.value.startswith("Cancelled: ")


def test_a_cancelled_booking_is_shown_as_cancelled_with_a_higher_number():
    booking = booked(SessionFactory())
    before = event(mine(booking.child), booking.session)
    cancel_booking(booking_id=booking.pk, now=in_days(0.001))
    after = event(mine(booking.child), booking.session)
    assert (numbers(before), numbers(after)) == (("CONFIRMED", 0, False), ("CANCELLED", 1, True))
    assert after.transp.value == "TRANSPARENT"
    assert after.last_modified.value >= before.last_modified.value


def test_booked_once_more_it_is_on_again_with_a_higher_number_still():
    booking = booked(SessionFactory())
    cancel_booking(booking_id=booking.pk, now=in_days(0.001))
    booked(booking.session, child=booking.child)
    assert numbers(event(mine(booking.child), booking.session)) == ("CONFIRMED", 2, False)


def test_one_of_two_children_less_is_no_cancellation():
    session, child = SessionFactory(), family()
    booked(session, child=child)
    other = booked(session, child=ChildFactory(parent=child.parent))
    before = numbers(event(mine(child), session))
    cancel_booking(booking_id=other.pk, now=in_days(0.001))
    found = event(mine(child), session)
    assert (before, numbers(found)) == (("CONFIRMED", 1, False), ("CONFIRMED", 2, False))
    assert "places" not in found.summary.value


def test_a_moved_booking_leaves_one_session_for_another():
    offering = OfferingFactory()
    old, new = (SessionFactory(offering=offering, starts_at=in_days(n)) for n in (7, 9))
    booking = booked(old)
    services.reschedule(booking_id=booking.pk, session=new, now=in_days(0.001))
    found = mine(booking.child)
    assert numbers(event(found, old)) == ("CANCELLED", 1, True)
    assert numbers(event(found, new)) == ("CONFIRMED", 0, False)


def test_a_seat_from_before_the_confirmation_is_not_a_cancellation():
    offering = OfferingFactory()
    old, new = (SessionFactory(offering=offering, starts_at=in_days(n)) for n in (7, 9))
    booking = booked(old, new)
    Seat.objects.filter(session=old).update(released_at=booking.confirmed_at - timedelta(seconds=1))
    assert set(mine(booking.child)) == {f"{new.pk}@juniro"}


def test_a_session_at_another_time_keeps_its_id_and_has_a_higher_number():
    booking = booked(SessionFactory())
    before = event(mine(booking.child), booking.session)
    later = booking.session.starts_at + timedelta(hours=2)
    Session.objects.update(
        starts_at=later, ends_at=later + timedelta(hours=1), sequence=1, updated_at=in_days(0) + timedelta(minutes=5)
    )
    after = event(mine(booking.child), booking.session)
    assert after.uid.value == before.uid.value
    assert (after.dtstart.value, after.sequence.value) == (later, "1")
    assert after.last_modified.value > before.last_modified.value


def test_a_cancelled_session_is_shown_as_cancelled_in_every_feed():
    booking = booked(SessionFactory())
    Session.objects.update(status="cancelled", sequence=1)
    assert numbers(event(mine(booking.child), booking.session)) == ("CANCELLED", 1, True)
    assert numbers(event(ours(booking.session), booking.session)) == ("CANCELLED", 1, True)


def test_completion_changes_nothing():
    booking = booked(SessionFactory(starts_at=in_days(-1)))
    before = event(mine(booking.child), booking.session)
    Session.objects.update(status="completed")
    after = event(mine(booking.child), booking.session)
    assert numbers(before) == numbers(after) == ("CONFIRMED", 0, False)


# --- A provider's feeds ----------------------------------------------------------------------------------------------


def test_staff_see_how_many_come_and_not_who(settings):
    settings.APP_URL = "https://app.example"
    session = SessionFactory(offering__activity__title="Swim Starters")
    booking = booked(session)
    booked(session)
    found = ours(session)
    (shown,) = found.values()
    assert shown.uid.value == f"{session.pk}@juniro"
    assert shown.summary.value == "Swim Starters (2/10)"
    assert shown.description.value == f"2 of 10 seats taken\nhttps://app.example/provider/sessions/{session.pk}"
    content = calendars.read(
        feed_of(session.activity.provider.staff.get().user, provider_account=session.activity.provider), now=in_days(0)
    ).decode()
    for secret in ("Mia", "Lopez", "Ana", str(booking.child_id), str(booking.parent_id), str(booking.pk)):
        assert secret not in content.replace("\r\n ", "")


def test_all_sessions_of_the_account_and_no_others():
    session = SessionFactory()
    cancelled = SessionFactory(offering=session.offering, status="cancelled", starts_at=in_days(3))
    SessionFactory()
    SessionFactory(offering=session.offering, starts_at=in_days(-31))
    SessionFactory(offering=session.offering, starts_at=in_days(367))
    assert set(ours(session)) == {f"{each.pk}@juniro" for each in (session, cancelled)}


def test_of_one_place_only():
    session = SessionFactory()
    lake = LocationFactory(provider=session.activity.provider, name="Lake", latitude=30.25, longitude=-97.75)
    there = SessionFactory(offering=session.offering, location=lake)
    found = ours(session, location=lake)
    assert set(found) == {f"{there.pk}@juniro"}
    assert event(found, there).geo.value == "30.25;-97.75"


def test_a_new_seat_changes_the_stamp():
    session = SessionFactory()
    for model in (Session, Activity, Location):
        model.objects.update(updated_at=in_days(-5))
    before = event(ours(session), session)
    booked(session)
    after = event(ours(session), session)
    assert after.last_modified.value > before.last_modified.value


# --- Form ------------------------------------------------------------------------------------------------------------


def test_the_calendar_names_itself_and_asks_to_be_read_every_hour():
    session = SessionFactory(offering__activity__provider__business_name="Fin, Fish; Co")
    member = ProviderUserFactory(provider_account=session.activity.provider)
    feed = feed_of(member.user, provider_account=session.activity.provider)
    content = calendars.read(feed, now=in_days(0)).decode()
    assert "\r\nVERSION:2.0\r\n" in content
    assert "\r\nPRODID:-//Juniro//Sessions//EN\r\n" in content
    assert "\r\nX-WR-CALNAME:Fin\\, Fish\\; Co · Juniro\r\n" in content
    assert "\r\nREFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in content
    assert "METHOD" not in content
    assert "BEGIN:VTIMEZONE" not in content


def test_an_empty_calendar_is_one_all_the_same():
    content = calendars.read(feed_of(family().parent.user), now=in_days(0))
    assert parse(content) == {}
    # A calendar without any component would be none (RFC 5545, 3.6).
    assert content.count(b"BEGIN:VTIMEZONE") == 1


@settings(deadline=None)
@given(
    title=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200),
    name=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200),
)
def test_whatever_people_type_comes_through(title, name):
    """Long, folded, escaped: line by line as the RFC has it, and back again by another library."""
    moment = datetime(2030, 3, 9, 16, tzinfo=UTC)
    session = Session(
        activity=Activity(title=title, updated_at=moment),
        location=Location(name=name, address="1 Water Street", city=City(name="Austin"), updated_at=moment),
        starts_at=moment,
        ends_at=moment + timedelta(minutes=45),
        capacity=10,
        updated_at=moment,
    )
    session.seats_changed_at = None
    found = parse(calendars.calendar(name, [calendars.taught(session)]))
    (shown,) = found.values()
    assert shown.summary.value == calendars.one_line(f"{title} (0/10)")
    assert shown.location.value == calendars.one_line(f"{name}, 1 Water Street, Austin")


# --- The file for a mail ---------------------------------------------------------------------------------------------


def test_a_bookings_file_has_the_same_events_as_the_feed():
    offering = OfferingFactory()
    sessions = [SessionFactory(offering=offering, starts_at=in_days(n)) for n in (7, 14)]
    booking = booked(*sessions)
    booked(SessionFactory(), child=booking.child)
    file, feed = parse(calendars.of_booking(booking.pk)), mine(booking.child)
    assert set(file) == {f"{each.pk}@juniro" for each in sessions}
    assert len(feed) == 3
    for uid in file:
        assert file[uid].serialize() == feed[uid].serialize()


def test_a_bookings_file_shows_what_it_holds_now():
    offering = OfferingFactory()
    old, new = (SessionFactory(offering=offering, starts_at=in_days(n)) for n in (7, 9))
    booking = booked(old)
    services.reschedule(booking_id=booking.pk, session=new, now=in_days(0.001))
    assert set(parse(calendars.of_booking(booking.pk))) == {f"{new.pk}@juniro"}


def test_a_bookings_file_is_tentative_until_it_is_paid():
    booking = booked(SessionFactory(), status="pending_payment")
    (shown,) = parse(calendars.of_booking(booking.pk)).values()
    assert numbers(shown) == ("TENTATIVE", 0, False)
