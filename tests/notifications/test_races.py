"""Two workers at one notification: one mail. Beside it the control, in which nobody claims anything."""

import threading

import pytest

from notifications import delivery, tasks
from notifications.models import Notification
from tests.factories import BookingFactory

pytestmark = pytest.mark.django_db(transaction=True)

WORKERS = 4


@pytest.fixture
def row(tell):
    booking = BookingFactory(status="confirmed")
    return tell(booking.parent.user, "booking_confirmed", booking)


def test_workers_at_once_send_one_mail(mailserver, row, now, at_once):
    given = at_once(lambda pk: delivery.deliver(pk, now=now), [row.pk] * WORKERS)
    assert sorted(given) == [False] * (WORKERS - 1) + [True]
    assert len(mailserver.mails) == 1
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("sent", 1)


def test_control_without_the_claim_everybody_sends(mailserver, row, now, at_once, monkeypatch):
    all_have_looked = threading.Barrier(WORKERS)

    def look(*, now, notification_id):
        found = Notification.objects.due(now=now).select_related("user__parent").get(pk=notification_id)
        all_have_looked.wait(10)
        return found

    monkeypatch.setattr(delivery, "claim", look)
    at_once(lambda pk: delivery.deliver(pk, now=now), [row.pk] * WORKERS)
    assert len(mailserver.mails) == WORKERS


def test_sweeps_and_tasks_at_once_share_the_work_and_send_each_mail_once(mailserver, tell, at_once):
    rows = []
    for _ in range(20):
        booking = BookingFactory(status="confirmed")
        rows.append(tell(booking.parent.user, "booking_confirmed", booking))
    ids = [str(row.pk) for row in rows]
    jobs = [tasks.deliver_due, tasks.deliver_due, lambda: tasks.deliver(*ids), lambda: tasks.deliver(*reversed(ids))]
    assert at_once(lambda job: job(), jobs) == [None] * 4
    assert sorted(message["Message-ID"].split("@")[0].strip(" <") for message in mailserver.mails) == sorted(ids)
    assert set(Notification.objects.values_list("status", "attempts")) == {("sent", 1)}


def test_a_fact_told_by_several_at_once_is_one_row(tell, at_once, now):
    booking = BookingFactory(status="confirmed")
    at_once(lambda user: tell(user, "booking_confirmed", booking), [booking.parent.user] * WORKERS)
    assert Notification.objects.count() == 1
