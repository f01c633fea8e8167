"""Payloads of events are emptied after their time; what they did stays, and so does the guard against twins."""

from datetime import timedelta

import pytest

from payments.models import WebhookEvent
from payments.retention import purge_payloads
from payments.tasks import purge_payloads as purge_payloads_task
from tests.factories import PaymentFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _days(settings):
    settings.WEBHOOK_PAYLOAD_RETENTION_DAYS = 30


def event(number, now, *, days, **fields):
    return WebhookEvent.objects.create(
        processor="stripe",
        event_id=f"evt_{number}",
        body_sha256=str(number),
        type="charge.refunded",
        payload={"id": f"evt_{number}"},
        created_at=now - timedelta(days=days),
        **{"status": "processed", "processor_payment_id": f"pi_{number}"} | fields,
    )


def test_old_payloads_go_and_everything_else_stays(now):
    payment = PaymentFactory()
    old, young = event(1, now, days=31, payment=payment, note="refunded in full"), event(2, now, days=29)
    assert purge_payloads(now=now) == 1
    before = WebhookEvent.objects.filter(pk=old.pk).values().get()
    old.refresh_from_db()
    young.refresh_from_db()
    assert (old.payload, young.payload) == ({}, {"id": "evt_2"})
    assert (old.event_id, old.body_sha256, old.note) == ("evt_1", "1", "refunded in full")
    assert (old.payment, old.processor_payment_id, old.status) == (payment, "pi_1", "processed")
    assert purge_payloads(now=now) == 0
    assert WebhookEvent.objects.filter(pk=old.pk).values().get() == before


def test_a_failed_event_keeps_what_it_is_taken_up_from(now):
    failed = event(1, now, days=400, status="failed")
    assert purge_payloads(now=now) == 0
    failed.refresh_from_db()
    assert failed.payload == {"id": "evt_1"}


def test_one_that_waited_for_its_payment_waits_no_more(now):
    waiting = event(1, now, days=31, status="ignored")
    assert purge_payloads(now=now) == 1
    waiting.refresh_from_db()
    assert (waiting.payload, waiting.processor_payment_id) == ({}, None)


def test_a_batch_at_a_time(now):
    for number in range(5):
        event(number, now, days=31)
    assert [purge_payloads(now=now, batch=2) for _ in range(4)] == [2, 2, 1, 0]


def test_beat_works_until_nothing_is_left(now):
    event(1, now, days=31)
    purge_payloads_task()
    assert WebhookEvent.objects.get().payload == {}
