"""A refund that is sent meets the news of it, which come under the payment's lock."""

from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, transaction

from payments.models import Payment, Refund
from tests.factories import PaymentFactory
from tests.meeting import Meeting

pytestmark = pytest.mark.django_db(transaction=True)


def meet(monkeypatch, now):
    """What came of noting a refund as sent while somebody has its payment locked and is about to look at it."""
    paid = PaymentFactory(status="paid", processor_payment_id="pi_1", paid_at=now)
    refund = Refund.objects.create(
        payment=paid, amount_cents=paid.amount_cents, currency=paid.currency, reason="Cancelled.", next_attempt_at=now
    )
    pause = SimpleNamespace(between=lambda: None)

    def look():
        with transaction.atomic():
            payment = Payment.objects.select_for_update(no_key=True).get(pk=refund.payment_id)
            pause.between()
            return [each.status for each in payment.refunds.select_for_update(no_key=True)]

    def note():
        with transaction.atomic():
            return Refund.objects.filter(pk=refund.pk).update(status="sent", processor_refund_id="re_1")

    return Meeting(monkeypatch, (pause, "between")).of(look, note)


def test_a_refund_is_noted_as_sent_while_its_payment_is_locked(monkeypatch, now):
    assert meet(monkeypatch, now) == (["sent"], 1)


def test_control_a_look_at_the_payment_at_every_move_is_a_deadlock(monkeypatch, now):
    with connection.cursor() as cursor:
        cursor.execute(
            """CREATE CONSTRAINT TRIGGER every_move AFTER UPDATE ON payments_refund DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION payments_refund_within_payment()"""
        )
    try:
        given = meet(monkeypatch, now)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER every_move ON payments_refund")
    assert OperationalError in [type(each) for each in given]
