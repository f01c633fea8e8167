"""Comparing the processors' books with ours, for the day when an event is lost on its way.

What a processor can tell again as an event goes through the inbox like one that was delivered. What it cannot is
flagged and alerted, and moves no payment. A run makes few calls and no transaction spans one; rows are claimed with
SKIP LOCKED before the call, so two workers at once share the work.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import orjson
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from core.errors import Error
from payments import events
from payments.models import Payment, Reconciliation, Refund, WebhookEvent
from payments.processors import MoneyIn, Outcome, Processor, ProcessorUnavailable, processor
from payments.services import EVENT_MISSING, REFUND_SILENCE

log = structlog.get_logger("juniro.payments")

# As far back as Stripe itself sends events again.
FIRST_LOOK = timedelta(days=3)
# When an unpaid payment is looked up first, how soon again, how soon if it failed, and when we let it be.
UNPAID_AFTER, UNPAID_AGAIN, FAILED_AGAIN = timedelta(minutes=15), timedelta(minutes=15), timedelta(days=1)
LET_BE_AFTER = timedelta(days=4)
# Either side of the time of a payment, where its event must be.
AROUND = timedelta(minutes=10)
# Reads of one processor's list in a run, and rows that a run asks about one by one.
READS, ROWS = 10, 50
SECOND = timedelta(seconds=1)


# --- All that a processor has to tell ---------------------------------------------------------------------------------


def compare_books(name: str, *, now: datetime) -> int:
    """Carries out the events of processor `name` that never came, or looks for money that no event told us of.

    Gives how many events it took up. Raises `ProcessorError`, `ProcessorUnavailable`.
    """
    source, taken_up = processor(name), 0
    row, _ = Reconciliation.objects.get_or_create(processor=name, defaults={"until": now - FIRST_LOOK})
    end = now - source.news_lag
    for news, until in read_in_parts(source, since=row.until - source.news_overlap, until=end):
        told = [each for each in news if isinstance(each, Outcome)]
        for outcome in unknown(name, told):
            log.warning("webhook event had not come", processor=name, type=outcome.type)
            taken_up += take_up(name, outcome, now=now)
        for money in news:
            if isinstance(money, MoneyIn):
                check_money(name, money, now=now)
        # At the end, only as far as something was told: whatever the clocks say, nothing is left out.
        seen = [each.at + SECOND for each in news if each.at] if until == end else [until]
        if seen:
            Reconciliation.objects.filter(pk=row.pk, until__lt=max(seen)).update(until=max(seen), updated_at=now)
    return taken_up


def read_in_parts(
    source: Processor, *, since: datetime, until: datetime
) -> Iterator[tuple[list[Outcome | MoneyIn], datetime]]:
    """The news from `since` to `until`, with the time up to which each part reaches: less time where there is much."""
    span = until - since
    for _ in range(READS):
        if since >= until:
            return
        upto = min(since + span, until)
        news, is_all = source.list_news(since=since, until=upto)
        if not is_all and upto - since > SECOND:
            span = max((upto - since) / 2, SECOND)
            continue
        if not is_all:
            log.error("more news in a second than can be read", processor=source.name)
        yield news, upto
        since, span = upto, span * 2


def unknown(name: str, outcomes: list[Outcome]) -> list[Outcome]:
    """Those that are not in the inbox. One that failed there is left to the sweep that takes it up again."""
    ids = [each.event_id for each in outcomes]
    known = set(WebhookEvent.objects.filter(processor=name, event_id__in=ids).values_list("event_id", flat=True))
    return [each for each in outcomes if each.event_id not in known]


def take_up(name: str, outcome: Outcome, *, now: datetime) -> bool:
    """Has the inbox carry out a fetched event. The processor's API, asked with our key, vouches for it."""
    try:
        # It has no body of its own; its id keeps it apart.
        return events.record(processor=name, outcome=outcome, raw=orjson.dumps(outcome.payload), now=now) is not None
    except Exception:
        # If the inbox has it as failed, that is enough. Else we must not move on past it.
        if not WebhookEvent.objects.filter(processor=name, event_id=outcome.event_id).exists():
            raise
        return False


def check_money(name: str, money: MoneyIn, *, now: datetime) -> None:
    """Alerts about money that no row of ours accounts for, and flags the payment that it belongs to."""
    payments = Payment.objects.filter(processor=name)
    same = payments.filter(processor_payment_id=money.processor_payment_id).first()
    if same is not None and (same.needs_review or same.status not in Payment.OPEN):
        return
    of_checkout = payments.filter(Q(pk=money.payment_id) | Q(processor_checkout_id=money.checkout_id or ""))
    payment = same or of_checkout.order_by("-id").first()
    if payment is None:
        log.error("payment without a record", processor=name, payment=money.processor_payment_id)
    elif payment.status in Payment.OPEN:
        flag_missing(payment, now=now)
    else:
        flagged = payments.filter(pk=payment.pk).update(
            needs_review=True, status_reason="Paid a second time at the processor, but no event came.", updated_at=now
        )
        log.error("second payment without an event", payment=str(payment.pk), rows=flagged)


# --- What we wait for -------------------------------------------------------------------------------------------------


def look_up_payments(*, now: datetime) -> int:
    """Asks the processors about payments that are still unpaid, some at a time; gives how many were asked about."""
    reachable, asked = set(settings.PAYMENT_PROCESSORS), 0
    while asked < ROWS and (payment := claim_unpaid(reachable, now=now)):
        asked += 1
        try:
            look_up(payment, now=now)
        except ProcessorUnavailable:
            reachable.discard(payment.processor)
            # The next run asks again.
            Payment.objects.filter(pk=payment.pk, looked_up_at=now).update(looked_up_at=None)
        except Error as error:
            log.error("payment not looked up", payment=str(payment.pk), code=error.code)
    return asked


def unpaid(*, now: datetime) -> QuerySet[Payment]:
    """Payments with a checkout that are unpaid for so long that we should ask, and were not asked about just now."""
    waiting = Q(status__in=[Payment.Status.CREATED, Payment.Status.PENDING])
    return Payment.objects.filter(
        waiting & (Q(looked_up_at=None) | Q(looked_up_at__lte=now - UNPAID_AGAIN))
        # Razorpay lets a failed payment succeed days later.
        | Q(status=Payment.Status.FAILED) & (Q(looked_up_at=None) | Q(looked_up_at__lte=now - FAILED_AGAIN)),
        created_at__range=(now - LET_BE_AFTER, now - UNPAID_AFTER),
        processor_checkout_id__isnull=False,
        needs_review=False,
    )


def claim_unpaid(processors: set[str], *, now: datetime) -> Payment | None:
    with transaction.atomic():
        due = unpaid(now=now).filter(processor__in=processors)
        due = due.select_for_update(of=("self",), no_key=True, skip_locked=True)
        payment = due.order_by(F("looked_up_at").asc(nulls_first=True), "created_at").first()
        if payment is not None:
            payment.looked_up_at = now
            payment.save(update_fields=["looked_up_at", "updated_at"])
        return payment


def look_up(payment: Payment, *, now: datetime) -> None:
    """Asks the processor whether `payment` was made. If so, has the inbox carry out its event, or flags it."""
    source = processor(payment.processor)
    money = source.money_by(payment.processor_checkout_id or "")
    if money is None or money.at > now - UNPAID_AFTER:
        return
    if source.keeps_events:
        told, _ = source.list_news(since=money.at - AROUND, until=money.at + AROUND)
        for each in told:
            if isinstance(each, Outcome) and each.checkout_id == payment.processor_checkout_id:
                take_up(payment.processor, each, now=now)
    flag_missing(payment, now=now)


def flag_missing(payment: Payment, *, now: datetime) -> None:
    """Flags `payment` as paid without an event, unless the event came in this very moment."""
    still_unpaid = Payment.objects.filter(pk=payment.pk, status__in=Payment.OPEN, needs_review=False)
    if still_unpaid.update(needs_review=True, status_reason=EVENT_MISSING, updated_at=now):
        log.error("paid without an event", payment=str(payment.pk), processor=payment.processor)


def look_up_refunds(*, now: datetime) -> int:
    """Asks what became of refunds whose event does not come, and alerts; gives how many were asked about."""
    reachable, asked = set(settings.PAYMENT_PROCESSORS), 0
    while asked < ROWS and (refund := claim_unconfirmed(reachable, now=now)):
        asked += 1
        try:
            status = processor(refund.payment.processor).refund_status(refund.processor_refund_id or "")
        except ProcessorUnavailable:
            reachable.discard(refund.payment.processor)
            Refund.objects.filter(pk=refund.pk, status=Refund.Status.SENT).update(next_attempt_at=now)
            continue
        except Error as error:
            status = error.code
        log.error("refund not confirmed", refund=str(refund.pk), processor_says=status)
        if status != "pending":
            Payment.objects.filter(pk=refund.payment_id, needs_review=False, refunds__status=Refund.Status.SENT).update(
                needs_review=True,
                status_reason=f"A refund is {status} at the processor, but no event came.",
                updated_at=now,
            )
    return asked


def claim_unconfirmed(processors: set[str], *, now: datetime) -> Refund | None:
    with transaction.atomic():
        due = Refund.objects.unconfirmed(now=now).filter(payment__processor__in=processors).select_related("payment")
        refund = (
            due.select_for_update(of=("self",), no_key=True, skip_locked=True).order_by("next_attempt_at", "pk").first()
        )
        if refund is not None:
            Refund.objects.filter(pk=refund.pk).update(next_attempt_at=now + REFUND_SILENCE)
        return refund
