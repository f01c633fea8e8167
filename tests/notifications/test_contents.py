"""What letters say of real rows: which dates, which children, whose words, and to whom."""

from datetime import UTC, datetime, timedelta

import pytest

from bookings.models import Booking, Seat
from messaging.models import Conversation, Message
from notifications.contents import contents, reader_of
from payments.models import Refund
from tests.factories import (
    BookingFactory,
    ChildFactory,
    PaymentFactory,
    ProviderAccountFactory,
    ProviderUserFactory,
    ReviewFactory,
    SessionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

STARTS = datetime(2026, 3, 7, 16, 0, tzinfo=UTC)
WRITTEN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def letter(user, kind, subject):
    """What `user` reads of `subject`; None if that is nothing of theirs."""
    content = contents()[kind]
    found = content.find([subject.pk], user.pk)
    assert set(found) <= {subject.pk}
    return content.write(found[subject.pk], reader_of(user, at=WRITTEN)) if found else None


def is_still(user, kind, subject, now=WRITTEN) -> bool:
    content = contents()[kind]
    return content.still(content.find([subject.pk], user.pk)[subject.pk], now)


def session_at(starts_at=STARTS, **fields):
    return SessionFactory(starts_at=starts_at, ends_at=starts_at + timedelta(minutes=45), **fields)


@pytest.fixture
def booking():
    return BookingFactory(
        status="confirmed",
        session=session_at(
            offering__activity__title="Swim Starters",
            offering__activity__provider__business_name="Blue Fin",
            offering__refund_window_hours=24,
        ),
    )


@pytest.fixture
def parent(booking):
    return booking.parent.user


@pytest.fixture
def staff(booking):
    return ProviderUserFactory(provider_account=booking.session.activity.provider).user


# --- Bookings --------------------------------------------------------------------------------------------------------


def test_a_booking_tells_what_when_where_for_whom_and_how_much(booking, parent):
    found = letter(parent, "booking_confirmed", booking)
    assert found.subject == "Booked: Swim Starters, Sat, Mar 7 at 10:00 AM CST"
    assert list(found.facts) == [
        ("What", "Swim Starters, Blue Fin"),
        ("When", "Sat, Mar 7, 10:00 AM to 10:45 AM CST"),
        ("Where", "Main pool, 1 Water Street, Austin"),
        ("For", "Mia"),
        ("Price", "$25.00"),
    ]
    assert found.small[0] == "Cancel by Fri, Mar 6 at 10:00 AM CST and you get everything back."


def test_a_free_booking_speaks_of_no_money(booking, parent):
    Booking.objects.update(amount_cents=0)
    found = letter(parent, "booking_confirmed", booking)
    assert ("Price", "Free") in found.facts
    assert not any("get everything back" in each for each in found.small)
    Booking.objects.update(status="cancelled")
    assert not letter(parent, "booking_cancelled", booking).paragraphs


def test_no_refund_is_promised_whose_time_is_over(booking, parent):
    Booking.objects.update(refundable_until=WRITTEN)
    assert not any("get everything back" in each for each in letter(parent, "booking_confirmed", booking).small)


def test_of_a_package_the_first_held_session_and_the_last_are_named(booking, parent):
    later = [session_at(STARTS + timedelta(weeks=n), offering=booking.session.offering) for n in (1, 2)]
    for session in later:
        Seat.objects.create(booking=booking, session=session, child=booking.child)
    facts = dict(letter(parent, "booking_confirmed", booking).facts)
    assert facts["When"] == "Sat, Mar 7, 10:00 AM to 10:45 AM CST"
    assert facts["Sessions"] == "3, the last one on Sat, Mar 21 at 11:00 AM CDT"
    # One that was given back does not count any more.
    booking.seats.filter(session=booking.session).update(released_at=WRITTEN)
    facts = dict(letter(parent, "booking_confirmed", booking).facts)
    assert facts["When"] == "Sat, Mar 14, 11:00 AM to 11:45 AM CDT"
    assert facts["Sessions"] == "2, the last one on Sat, Mar 21 at 11:00 AM CDT"


def test_a_booking_that_has_no_seat_any_more_still_names_its_session(booking, parent):
    booking.seats.update(released_at=WRITTEN)
    Booking.objects.update(status="cancelled", cancellation_reason="Mia is ill")
    facts = dict(letter(parent, "booking_cancelled", booking).facts)
    assert facts["When"].startswith("Sat, Mar 7") and facts["Reason"] == "Mia is ill"


@pytest.mark.parametrize("kind", ["booking_received", "booking_cancelled", "booking_rescheduled"])
def test_the_provider_hears_of_it_without_a_name_or_a_parents_words(booking, staff, kind):
    Booking.objects.update(cancellation_reason="Mia is ill")
    found = letter(staff, kind, booking)
    text = f"{found.subject} {found.summary} {found.paragraphs} {found.facts} {found.small}"
    assert "Swim Starters" in text
    assert not any(word in text for word in ("Mia", "Ana", "Lopez", "ill"))
    assert found.button[1] == f"/provider/sessions/{booking.session_id}"


def test_an_owner_who_books_at_their_own_place_reads_it_as_a_parent(booking, parent):
    ProviderUserFactory(provider_account=booking.session.activity.provider, user=parent)
    assert ("For", "Mia") in letter(parent, "booking_cancelled", booking).facts


def test_only_parents_get_the_dates_for_their_calendar(booking, parent, staff):
    content = contents()["booking_rescheduled"]
    for user, names in ((parent, ["booking.ics"]), (staff, [])):
        found = content.find([booking.pk], user.pk)[booking.pk]
        files = content.attach(found, reader_of(user, at=WRITTEN))
        assert [file.name for file in files] == names
        assert all("DTSTART:20260307T160000Z" in file.content and "Mia" not in file.content for file in files)


def test_a_removed_child_is_your_child(booking, parent):
    booking.child.first_name = ""
    booking.child.save()
    assert ("For", "your child") in letter(parent, "booking_confirmed", booking).facts


def test_a_review_is_asked_for_until_it_is_there():
    booking = BookingFactory(status="completed")
    parent = booking.parent.user
    assert is_still(parent, "review_prompt", booking)
    ReviewFactory(booking=booking)
    assert not is_still(parent, "review_prompt", booking)


# --- Sessions --------------------------------------------------------------------------------------------------------


def test_siblings_in_one_session_are_named_together(booking, parent):
    for name in ("Leo", "Ada"):
        BookingFactory(
            status="confirmed",
            session=booking.session,
            child=ChildFactory(parent=booking.parent, first_name=name),
        )
    BookingFactory(status="confirmed", session=booking.session)
    found = letter(parent, "session_reminder", booking.session)
    assert ("For", "Mia, Leo and Ada") in found.facts


def test_who_gave_the_seat_back_is_neither_named_nor_reminded(booking, parent):
    gone = BookingFactory(
        status="cancelled", session=booking.session, child=ChildFactory(parent=booking.parent, first_name="Leo")
    )
    assert ("For", "Mia") in letter(parent, "session_reminder", booking.session).facts
    assert is_still(parent, "session_reminder", booking.session)
    Booking.objects.exclude(pk=gone.pk).update(status="cancelled")
    booking.seats.update(released_at=WRITTEN)
    assert not is_still(parent, "session_reminder", booking.session)


def test_a_cancelled_session_names_those_who_had_a_seat_then_and_why(booking, parent):
    earlier = BookingFactory(
        status="cancelled", session=booking.session, child=ChildFactory(parent=booking.parent, first_name="Leo")
    )
    earlier.seats.update(released_at=WRITTEN - timedelta(days=3))
    session = booking.session
    session.status, session.cancelled_at, session.cancellation_reason = "cancelled", WRITTEN, "The pump is broken."
    session.save()
    for released_at in (None, WRITTEN + timedelta(seconds=1)):
        booking.seats.update(released_at=released_at)
        facts = dict(letter(parent, "session_cancelled", session).facts)
        assert (facts["For"], facts["Reason"]) == ("Mia", "The pump is broken.")
    assert is_still(parent, "session_cancelled", session)


def test_a_hold_that_was_never_paid_is_promised_no_money(parent, booking):
    Booking.objects.update(status="pending_payment", confirmed_at=None, expires_at=STARTS)
    assert not letter(parent, "session_cancelled", booking.session).paragraphs
    Booking.objects.update(status="cancelled", confirmed_at=WRITTEN)
    assert letter(parent, "session_cancelled", booking.session).paragraphs


def test_strangers_and_staff_are_told_nothing_of_a_parents_session(booking, staff):
    for user in (staff, UserFactory()):
        for kind in ("session_changed", "session_cancelled", "session_reminder"):
            assert letter(user, kind, booking.session) is None


# --- Money -----------------------------------------------------------------------------------------------------------


def test_a_failed_payment_matters_while_the_seat_is_held(booking, parent):
    Booking.objects.update(status="pending_payment", expires_at=WRITTEN + timedelta(minutes=10))
    payment = PaymentFactory(booking=booking, status="failed")
    found = letter(parent, "payment_failed", payment)
    assert found.summary.endswith("We hold the seat until Sun, Mar 1 at 6:10 AM CST.")
    assert found.button == ("Try again", f"/bookings/{booking.pk}")
    assert is_still(parent, "payment_failed", payment)
    assert not is_still(parent, "payment_failed", payment, now=WRITTEN + timedelta(minutes=10))
    payment.status = "pending"
    payment.save()
    assert not is_still(parent, "payment_failed", payment)


@pytest.mark.parametrize(("status", "told"), [("sent", True), ("succeeded", True), ("failed", False)])
def test_a_refund_tells_how_much_and_why(booking, parent, status, told):
    payment = PaymentFactory(booking=booking, status="paid")
    refund = Refund.objects.create(
        payment=payment, amount_cents=1250, currency="USD", reason="The session was cancelled.", status=status
    )
    found = letter(parent, "refund_sent", refund)
    assert found.subject == "$12.50 is on its way back to you"
    assert ("Reason", "The session was cancelled.") in found.facts
    assert is_still(parent, "refund_sent", refund) is told
    assert letter(UserFactory(), "refund_sent", refund) is None


# --- Reviews, messages, accounts -------------------------------------------------------------------------------------


def test_a_review_goes_to_the_provider_without_its_author():
    review = ReviewFactory(comment="Warm water")
    staff = ProviderUserFactory(provider_account=review.booking.session.activity.provider).user
    found = letter(staff, "review_received", review)
    assert ("They wrote", "Warm water") in found.facts and "4 of 5 stars" in found.subject
    assert "Ana" not in f"{found}"
    review.status = "hidden"
    review.save()
    assert not is_still(staff, "review_received", review)


def test_a_mail_about_messages_says_how_many_and_never_what(booking, parent, staff):
    provider = booking.session.activity.provider
    thread = Conversation.objects.create(parent=booking.parent, provider=provider)
    for number, (sender, side) in enumerate([(staff, "provider"), (staff, "provider"), (parent, "parent")], start=1):
        Message.objects.create(
            conversation=thread, number=number, sender=sender, sender_type=side, content="Bring goggles"
        )
    assert letter(parent, "message_received", thread).subject == "You have 2 new messages from Blue Fin"
    assert letter(staff, "message_received", thread).subject == "You have a new message from a parent"
    assert "goggles" not in f"{letter(parent, 'message_received', thread)}"
    assert letter(UserFactory(), "message_received", thread) is None
    thread.messages.update(read_at=WRITTEN)
    assert not is_still(parent, "message_received", thread)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("provider_submitted", "pending"),
        ("provider_verified", "verified"),
        ("provider_rejected", "rejected"),
        ("provider_suspended", "suspended"),
        ("provider_reinstated", "verified"),
    ],
)
def test_an_account_hears_of_its_state_while_it_is_in_it(kind, status):
    account = ProviderAccountFactory(status=status, status_reason="The website is down.")
    member = ProviderUserFactory(provider_account=account)
    reason = ("Reason", "The website is down.")
    assert (reason in letter(member.user, kind, account).facts) is (status in ("rejected", "suspended"))
    assert is_still(member.user, kind, account)
    account.status = "pending" if status != "pending" else "rejected"
    account.save()
    assert not is_still(member.user, kind, account)
    assert letter(UserFactory(), kind, account) is None
