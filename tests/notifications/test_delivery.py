"""From a row to a mailbox: what the mail server gets, and what becomes of a row that is not sent."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.core import mail

from bookings.models import Booking
from core.errors import InvalidState
from notifications import delivery, services, tasks
from notifications.contents import contents
from notifications.delivery import LEASE, MAX_ATTEMPTS, OutOfReach, deliver, deliver_next
from notifications.models import Bounce, Notification, NotificationPreference
from notifications.preferences import hash_of
from tests.factories import BookingFactory, ProviderUserFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking():
    return BookingFactory(
        status="confirmed",
        session__offering__activity__title="Swim Starters",
        child__parent__user__email="ana@example.com",
    )


@pytest.fixture
def parent(booking):
    return booking.parent.user


def reload(row: Notification) -> Notification:
    return Notification.objects.get(pk=row.pk)


def state(row: Notification) -> tuple:
    row = reload(row)
    return row.status, row.attempts, row.error


# --- What arrives ----------------------------------------------------------------------------------------------------


def test_the_mail_server_gets_the_mail_in_text_and_html(mailserver, booking, parent, tell, now, settings):
    settings.APP_URL = "https://juniro.example"
    row = tell(parent, "booking_confirmed", booking)
    assert deliver(row.pk, now=now) is True
    [message] = mailserver.mails
    assert mailserver.recipients == ["ana@example.com"]
    assert (message["To"], message["From"]) == ("ana@example.com", "Juniro <hello@juniro.example>")
    assert message["Message-ID"] == f"<{row.pk}@juniro.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"].startswith("Booked: Swim Starters, ")
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text.get_content_type() == "text/plain" and html.get_content_type() == "text/html"
    for part in (text, html):
        assert f"https://juniro.example/bookings/{booking.pk}" in part.get_content()
        assert "Mia" in part.get_content() and "Hello Ana," in part.get_content()
    row = reload(row)
    assert (row.status, row.sent_at, row.next_attempt_at, row.error, row.attempts) == ("sent", now, None, "", 1)


def test_what_is_required_has_no_way_to_unsubscribe_and_the_rest_has(mailserver, booking, parent, tell, now, api):
    deliver(tell(parent, "booking_confirmed", booking).pk, now=now)
    Booking.objects.update(status="completed")
    deliver(tell(parent, "review_prompt", booking).pk, now=now)
    required, optional = mailserver.mails
    assert required["List-Unsubscribe"] is None and required["List-Unsubscribe-Post"] is None
    assert optional["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = optional["List-Unsubscribe"].strip(" <>")
    assert url in optional.get_body(("plain",)).get_content()
    answer = api.post(url.removeprefix("http://127.0.0.1:5001"))
    assert answer.data == {"kind": "review_prompt", "title": "Asking for a review", "email": False}
    assert NotificationPreference.objects.get().user == parent


def test_every_line_is_short_enough_for_every_mail_server(mailserver, booking, parent, tell, now):
    booking.session.activity.title = "Schwimmen für Anfänger 🏊 " * 7
    booking.session.activity.save()
    deliver(tell(parent, "booking_confirmed", booking).pk, now=now)
    [message] = mailserver.mails
    assert booking.session.activity.title.strip()[:150] in message["Subject"]
    assert max(len(line) for line in message.as_bytes().splitlines()) < 998


def test_a_name_writes_no_headers(mailserver, booking, parent, tell, now):
    booking.session.activity.title = "Swim\r\nBcc: evil@example.com"
    booking.session.activity.save()
    deliver(tell(parent, "booking_confirmed", booking).pk, now=now)
    assert mailserver.recipients == ["ana@example.com"]
    assert mailserver.mails[0]["Bcc"] is None
    assert mailserver.mails[0]["Subject"].startswith("Booked: Swim Bcc: evil@example.com")


# --- Once ------------------------------------------------------------------------------------------------------------


def test_a_fact_told_twice_is_one_row_and_one_mail(mailserver, booking, parent, tell, now):
    rows = {tell(parent, "booking_confirmed", booking).pk for _ in range(3)}
    assert len(rows) == 1
    assert [deliver(pk, now=now) for pk in rows for _ in range(3)] == [True, False, False]
    assert deliver_next(now=now) is False
    assert len(mailserver.mails) == 1


def test_another_occasion_is_another_mail(mailserver, booking, parent, tell, now):
    for occasion in ("1", "2"):
        deliver(tell(parent, "session_changed", booking.session, occasion=occasion).pk, now=now)
    assert len(mailserver.mails) == 2
    assert len({message["Message-ID"] for message in mailserver.mails}) == 2


def test_the_task_is_told_ids_only_and_after_commit(
    booking, parent, deliveries, now, django_capture_on_commit_callbacks
):
    users = [parent.pk, *(UserFactory().pk for _ in range(24))]
    with django_capture_on_commit_callbacks(execute=True):
        services.notify(users, kind="booking_confirmed", subject_id=booking.pk, now=now)
        assert deliveries == []
    assert [len(ids) for ids in deliveries] == [20, 5]
    assert {pk for ids in deliveries for pk in ids} == {str(row.pk) for row in Notification.objects.all()}


def test_the_task_delivers_what_it_is_told_and_does_not_mind_what_is_gone(mailserver, booking, parent, tell):
    row = tell(parent, "booking_confirmed", booking)
    tasks.deliver("01958f3a-2b7c-7d10-8e55-6a0c4b1d9f20", str(row.pk))
    tasks.deliver(str(row.pk))
    assert len(mailserver.mails) == 1


def test_what_waits_longest_goes_first_and_what_is_not_due_stays(mailserver, booking, parent, tell, now):
    Booking.objects.update(status="completed")
    later = tell(parent, "review_prompt", booking, at=now + timedelta(minutes=1))
    tell(parent, "booking_confirmed", booking, at=now - timedelta(minutes=2))
    tell(parent, "response_received", booking, at=now - timedelta(minutes=3))
    assert [deliver_next(now=now) for _ in range(3)] == [True, True, False]
    assert state(later) == ("pending", 0, "")


# --- Not at all ------------------------------------------------------------------------------------------------------


def muted(row: Notification, why: str) -> None:
    assert state(row) == ("muted", 1, why)
    assert reload(row).sent_at is None and reload(row).next_attempt_at is None
    assert Notification.objects.inbox().get() == row


def dropped(row: Notification, why: str) -> None:
    assert state(row) == ("dropped", 1, why)
    assert not Notification.objects.inbox().exists()


def test_nobody_writes_to_the_suspended(mailserver, booking, parent, tell, now):
    parent.is_active = False
    parent.save()
    row = tell(parent, "booking_confirmed", booking)
    assert deliver(row.pk, now=now) is True
    muted(row, "The account is suspended.")
    assert mailserver.mails == []


def test_nor_to_people_of_the_other_region(mailserver, booking, tell, now, settings):
    row = tell(booking.parent.user, "booking_confirmed", booking)
    settings.REGION = "in"
    deliver(row.pk, now=now)
    dropped(row, "The user is at home in the other region.")
    assert mailserver.mails == []


def test_nor_to_nowhere(mailserver, booking, parent, tell, now):
    parent.email = ""
    parent.save()
    row = tell(parent, "booking_confirmed", booking)
    deliver(row.pk, now=now)
    muted(row, "The user has no address.")


def test_nor_to_the_erased(mailserver, booking, tell, now):
    member = ProviderUserFactory(provider_account=booking.session.activity.provider)
    row = tell(member.user, "booking_received", booking)
    member.user.delete()
    assert deliver(row.pk, now=now) is False
    assert not Notification.objects.exists() and mailserver.mails == []


def test_who_switched_a_kind_off_has_it_in_the_app_only(mailserver, booking, parent, tell, now):
    Booking.objects.update(status="completed")
    NotificationPreference.objects.create(user=parent, kind="review_prompt", email=False)
    row = tell(parent, "review_prompt", booking)
    deliver(row.pk, now=now)
    muted(row, "The user does not want it.")
    assert mailserver.mails == []


def test_a_bounce_stops_what_can_be_switched_off_and_nothing_else(mailserver, booking, parent, tell, now):
    Bounce.objects.create(user=parent, email_sha256=hash_of(parent.email), reason="complaint", happened_at=now)
    Booking.objects.update(status="completed")
    optional, required = tell(parent, "review_prompt", booking), tell(parent, "booking_confirmed", booking)
    deliver(optional.pk, now=now)
    deliver(required.pk, now=now)
    assert state(optional) == ("muted", 1, "The address does not take it: complaint (marked as spam).")
    assert state(required) == ("sent", 1, "")
    assert [message["Subject"][:7] for message in mailserver.mails] == ["Booked:"]


def test_what_is_gone_is_not_told(mailserver, parent, tell, now):
    row = tell(parent, "refund_sent", UserFactory())
    deliver(row.pk, now=now)
    dropped(row, "What it tells of is gone.")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("booking_confirmed", "cancelled"),
        ("booking_received", "expired"),
        ("booking_cancelled", "confirmed"),
        ("booking_rescheduled", "cancelled"),
        ("hold_ending", "confirmed"),
        ("hold_ending", "expired"),
        ("review_prompt", "no_show"),
    ],
)
def test_what_is_no_longer_true_is_not_told(mailserver, booking, parent, tell, now, kind, status):
    Booking.objects.update(status=status)
    row = tell(parent, kind, booking)
    deliver(row.pk, now=now)
    dropped(row, "It was no longer true.")
    assert mailserver.mails == []


@pytest.mark.parametrize("kind", ["session_reminder", "session_changed"])
def test_nobody_hears_of_a_session_that_was_cancelled_in_the_meantime(mailserver, booking, parent, tell, now, kind):
    row = tell(parent, kind, booking.session)
    booking.session.status = "cancelled"
    booking.session.save()
    deliver(row.pk, now=now)
    dropped(row, "It was no longer true.")


def test_nobody_is_reminded_of_what_has_begun(mailserver, booking, parent, tell, now):
    row = tell(parent, "session_reminder", booking.session)
    deliver(row.pk, now=booking.session.starts_at)
    dropped(row, "It was no longer true.")


def test_a_stranger_hears_nothing_of_a_booking(mailserver, booking, tell, now):
    row = tell(UserFactory(), "booking_confirmed", booking)
    deliver(row.pk, now=now)
    dropped(row, "What it tells of is gone.")


# --- Trouble ---------------------------------------------------------------------------------------------------------


def test_with_the_mail_server_down_it_is_tried_again_after_longer_and_longer_pauses(
    mailserver, booking, parent, tell, now
):
    row = tell(parent, "booking_confirmed", booking)
    mailserver.stop()
    pauses = []
    moment = now
    for attempt in range(1, MAX_ATTEMPTS):
        with pytest.raises(OutOfReach):
            deliver(row.pk, now=moment)
        assert state(row) == ("pending", attempt, "ConnectionRefusedError")
        pauses.append((reload(row).next_attempt_at - moment).total_seconds() / 60)
        assert deliver(row.pk, now=reload(row).next_attempt_at - timedelta(seconds=1)) is False
        moment = reload(row).next_attempt_at
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360]
    assert timedelta(hours=18) < moment - now < timedelta(days=1)

    with pytest.raises(OutOfReach):
        deliver(row.pk, now=moment)
    assert state(row) == ("failed", MAX_ATTEMPTS, "Given up after 12 attempts: ConnectionRefusedError.")
    mailserver.start()
    assert deliver_next(now=moment + timedelta(days=9)) is False
    assert mailserver.mails == []

    services.retry(row.pk, now=moment)
    assert state(row) == ("pending", 0, "")
    assert deliver(row.pk, now=moment) is True
    assert state(row) == ("sent", 1, "")
    assert len(mailserver.mails) == 1
    with pytest.raises(InvalidState):
        services.retry(row.pk, now=moment)


def test_a_sweep_asks_a_mail_server_that_is_down_once_and_not_for_everybody(mailserver, tell, now):
    for _ in range(5):
        other = BookingFactory(status="confirmed")
        tell(other.parent.user, "booking_confirmed", other)
    mailserver.stop()
    with time_machine.travel(now, tick=False):
        tasks.deliver_due()
    assert sorted(Notification.objects.values_list("attempts", flat=True)) == [0, 0, 0, 0, 1]
    mailserver.start()
    with time_machine.travel(now + timedelta(minutes=1), tick=False):
        tasks.deliver_due()
    assert len(mailserver.mails) == 5
    assert set(Notification.objects.values_list("status", flat=True)) == {"sent"}


def test_an_address_that_does_not_exist_fails_at_once_and_the_next_one_goes_out(mailserver, booking, parent, tell, now):
    mailserver.refuse = {"ana@example.com": "550 5.1.1 No such user ana@example.com"}
    row = tell(parent, "booking_confirmed", booking)
    other = BookingFactory(status="confirmed")
    tell(other.parent.user, "booking_confirmed", other)
    with time_machine.travel(now, tick=False):
        tasks.deliver_due()
    assert state(row) == ("failed", 1, "The mail server refuses the address.")
    assert mailserver.recipients == [other.parent.user.email]


def test_a_server_that_asks_us_to_come_back_is_asked_again(mailserver, booking, parent, tell, now):
    mailserver.refuse = {"ana@example.com": "450 4.2.0 Greylisted"}
    row = tell(parent, "booking_confirmed", booking)
    assert deliver(row.pk, now=now) is True
    assert state(row) == ("pending", 1, "SMTPRecipientsRefused")
    mailserver.refuse = {}
    assert deliver(row.pk, now=now + timedelta(minutes=1)) is True
    assert state(row) == ("sent", 2, "")


def test_a_mail_that_the_server_does_not_take_does_not_hold_up_the_others(mailserver, booking, parent, tell, now):
    mailserver.reject = {"Swim Starters": "554 Looks like spam"}
    row = tell(parent, "booking_confirmed", booking)
    other = BookingFactory(status="confirmed", session__offering__activity__title="Chess")
    tell(other.parent.user, "booking_confirmed", other)
    with time_machine.travel(now, tick=False):
        tasks.deliver_due()
    assert state(row) == ("pending", 1, "SMTPDataError")
    assert mailserver.recipients == [other.parent.user.email]


def test_a_letter_that_cannot_be_written_waits_alone(mailserver, booking, parent, tell, now, monkeypatch):
    row = tell(parent, "booking_confirmed", booking)
    other = BookingFactory(status="completed")
    tell(other.parent.user, "review_prompt", other)

    def broken(*args):
        raise KeyError("template")

    content = replace(contents()["booking_confirmed"], write=broken)
    monkeypatch.setattr(delivery, "contents", lambda: {**contents(), "booking_confirmed": content})
    with time_machine.travel(now, tick=False):
        tasks.deliver_due()
    assert state(row) == ("pending", 1, "KeyError")
    assert mailserver.recipients == [other.parent.user.email]


def test_a_server_that_does_not_say_goodbye_has_the_mail_all_the_same(mailserver, booking, parent, tell, now, settings):
    settings.EMAIL_TIMEOUT = 3
    mailserver.goodbye.clear()
    row = tell(parent, "booking_confirmed", booking)
    assert deliver(row.pk, now=now) is True
    mailserver.goodbye.set()
    assert state(row) == ("sent", 1, "")
    assert len(mailserver.mails) == 1


def test_one_that_kills_its_worker_every_time_is_given_up(mailserver, booking, parent, tell, now):
    row = tell(parent, "booking_confirmed", booking)
    Notification.objects.update(attempts=MAX_ATTEMPTS)
    assert deliver_next(now=now) is True
    assert state(row) == ("failed", MAX_ATTEMPTS + 1, "Given up: no worker came to an end with it.")
    assert mailserver.mails == []


def test_nothing_personal_is_logged_whatever_happens(mailserver, booking, parent, tell, now, caplog):
    row = tell(parent, "booking_confirmed", booking)
    mailserver.refuse = {"ana@example.com": "450 Try later, ana@example.com"}
    deliver(row.pk, now=now)
    mailserver.refuse = {"ana@example.com": "550 No such user ana@example.com"}
    deliver(row.pk, now=now + timedelta(minutes=1))
    # Not what the mail server itself logs.
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("juniro")]
    assert len(ours) == 2
    row = reload(row)
    for text in (*ours, row.error, row.dedupe_key, str(row)):
        assert "ana@" not in text and "Mia" not in text


def test_a_worker_whose_lease_is_over_does_not_overwrite_the_next_one(mailserver, booking, parent, tell, now):
    row = tell(parent, "booking_confirmed", booking)
    slow = delivery.claim(now=now)
    assert deliver(row.pk, now=now + LEASE) is True
    delivery.put_off(slow, ConnectionResetError(), now=now + LEASE)
    assert state(row) == ("sent", 2, "")


# --- Retention -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["sent", "muted", "dropped", "failed"])
def test_old_notifications_are_deleted_and_waiting_ones_are_not(booking, parent, tell, now, settings, status):
    settings.NOTIFICATION_RETENTION_DAYS = 30
    old, waiting, young = (
        tell(parent, kind, booking, at=now - age)
        for kind, age in [
            ("booking_confirmed", timedelta(days=30, seconds=1)),
            ("hold_ending", timedelta(days=31)),
            ("review_prompt", timedelta(days=29)),
        ]
    )
    Notification.objects.filter(pk__in=[old.pk, young.pk]).update(status=status)
    assert services.purge(now=now) == 1
    assert set(Notification.objects.values_list("pk", flat=True)) == {waiting.pk, young.pk}
    assert services.purge(now=now) == 0


def test_the_test_suite_itself_mails_nobody(booking, parent, tell, now):
    deliver(tell(parent, "booking_confirmed", booking).pk, now=now)
    assert len(mail.outbox) == 1
