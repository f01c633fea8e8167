"""The machine that makes everything happen to seats and money, in any order, and looks at the books after each step."""

from datetime import timedelta
from types import SimpleNamespace

from celery import current_app
from django.db import transaction
from django.db.models import F, Max, Min
from django.utils import timezone
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from bookings import attendance
from bookings import services as bookings
from bookings.models import Booking, Seat
from core.errors import Error
from marketplace.models import Session
from payments import cancellations, services, tasks
from payments.models import Payment, Refund
from payments.processors import Signal, processor
from payments.session_cancellations import cancel_sessions, finish_cancelled
from tests.books import ask, wrong_now, wrong_when_quiet
from tests.factories import in_days
from tests.payments.conftest import NO_FAULTS, act
from tests.payments.signed import RAZORPAY, STRIPE, razorpay_signature, stripe_signature

ALIVE = (Booking.Status.CONFIRMED, Booking.Status.COMPLETED, Booking.Status.NO_SHOW)
CHILD, SESSION = st.integers(0, 3), st.integers(0, 6)
ANY = st.integers(0, 999)  # one of a list whose length nobody knows beforehand


def fingerprint():
    """Everything that a refused request must leave alone."""
    return ask(
        """SELECT
        (SELECT md5(string_agg(row::text, '' ORDER BY id)) FROM bookings_booking AS row),
        (SELECT md5(string_agg(row::text, '' ORDER BY id)) FROM bookings_seat AS row),
        (SELECT md5(string_agg(row::text, '' ORDER BY id)) FROM payments_payment AS row),
        (SELECT md5(string_agg(row::text, '' ORDER BY id)) FROM payments_refund AS row)"""
    )


class MoneyMachine(RuleBasedStateMachine):
    """One example. `world` is what all examples share: the catalogue, the families, the processors at their end."""

    world: SimpleNamespace
    booked = Bundle("booked")

    def __init__(self):
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.world.sandbox.post("/faults", NO_FAULTS | {"lose": 1})
        self.seen = len(self.world.events())
        self.last_comes_first = False  # of the mail, once all is to come to rest
        self.waiting, self.told = [], []  # events on their way, events that have come
        self.took, self.known = {}, {}  # cents by the processor's payment: taken, and taken to our knowledge
        self.deadlines, self.kept_late = {}, set()  # by booking: until when it is refunded; cancelled after that

    def teardown(self):
        try:
            self.come_to_rest()
            self.compare_with_the_processors()
        finally:
            self.world.queue.clear()
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    @initialize(
        target=booked,
        is_dull=st.sampled_from([True] + [False] * 999),
        last_comes_first=st.booleans(),
        wanted=st.lists(st.tuples(CHILD, SESSION, st.booleans()), min_size=2, max_size=4),
    )
    def families_come(self, is_dull, last_comes_first, wanted):
        """So that there is something to begin with: bookings, checkouts, and money whose news is on its way."""
        # Hypothesis begins with the least of all examples, which is not worth its time.
        assume(not is_dull)
        self.last_comes_first = last_comes_first
        made = []
        for child, session, pays in wanted:
            if booking := self.take(child, session):
                made.append(booking)
                self.check_out(booking, choice=child)
                opened = Payment.objects.filter(booking=booking, processor_checkout_id__isnull=False).first()
                if pays and opened:
                    self.press(opened, "pay")
        return multiple(*made)

    # --- Parents -----------------------------------------------------------------------------------------------------

    @rule(target=booked, child=CHILD, session=SESSION)
    def book(self, child, session):
        return self.take(child, session) or multiple()

    @rule(booking=booked, choice=ANY)
    def check_out(self, booking, choice):
        name = self.world.processors[choice % len(self.world.processors)]
        booking = Booking.objects.get(pk=booking)
        # An outage is noted on the payment's row, which stays for the next try.
        self.attempt(
            lambda: services.start_checkout(booking=booking, processor_name=name, now=timezone.now()),
            may_change=True,
        )

    @rule(booking=booked, session=SESSION, cancels=st.booleans())
    def change_their_mind(self, booking, session, cancels):
        now = timezone.now()
        if cancels:
            result = self.attempt(lambda: cancellations.cancel_booking(booking_id=booking, now=now))
            if not isinstance(result, Error) and (now > self.deadlines[booking] or self.begins(booking) <= now):
                self.kept_late.add(booking)
            return
        session = Session.objects.select_related("offering").get(pk=self.world.sessions[session].pk)
        result = self.attempt(lambda: bookings.reschedule(booking_id=booking, session=session, now=now))
        if not isinstance(result, Error):
            self.note_deadline(booking)

    # --- Provider, ops, workers, time --------------------------------------------------------------------------------

    @rule(booking=booked)
    def provider_cancels(self, booking):
        self.attempt(lambda: cancellations.cancel_in_full(booking_id=booking, reason="", now=timezone.now()))

    @rule(session=SESSION)
    def provider_cancels_session(self, session):
        session, now = self.world.sessions[session].pk, timezone.now()
        there = set(
            Booking.objects.filter(seats__session=session, seats__released_at=None).values_list("pk", flat=True)
        )
        self.attempt(lambda: cancel_sessions(session_ids=[session], reason="Storm.", now=now))
        for booking in Booking.objects.filter(pk__in=there, status=Booking.Status.CONFIRMED):
            # It goes on without this session, and may be left for free until the next one begins.
            left = Seat.objects.held().filter(booking=booking, session__starts_at__gt=now)
            begins = left.aggregate(first=Min("session__starts_at"))["first"]
            self.deadlines[booking.pk] = max(filter(None, (self.deadlines[booking.pk], begins)))

    @rule()
    def days_pass(self):
        """Three of them: sessions begin and end, refund windows close."""
        days = timedelta(days=3)
        Session.objects.update(starts_at=F("starts_at") - days, ends_at=F("ends_at") - days)
        Booking.objects.update(refundable_until=F("refundable_until") - days)
        self.deadlines = {booking: deadline - days for booking, deadline in self.deadlines.items()}
        self.sweep()

    @rule(booking=booked)
    def hold_ends(self, booking):
        Booking.objects.filter(pk=booking, status=Booking.Status.PENDING_PAYMENT).update(expires_at=in_days(-0.001))
        self.sweep()

    @rule()
    def sweep(self):
        tasks.expire_holds()
        finish_cancelled(now=timezone.now())
        attendance.complete_sessions(now=timezone.now())
        attendance.settle_bookings(now=timezone.now())
        self.work()

    @rule()
    def send_refunds(self):
        Refund.objects.filter(status=Refund.Status.PENDING).update(next_attempt_at=in_days(-0.001))
        tasks.send_refunds()
        self.work()

    @rule(choice=ANY)
    def ops_retry(self, choice):
        failed = Refund.objects.filter(status=Refund.Status.FAILED).order_by("pk")
        if failed:
            refund = failed[choice % len(failed)]
            self.attempt(lambda: services.retry_refund(refund.pk, now=timezone.now()))

    # --- The processors ----------------------------------------------------------------------------------------------

    @rule(choice=ANY, action=st.sampled_from(["pay", "pay", "pay", "decline", "wrong_amount", "again"]))
    def at_the_checkout(self, choice, action):
        if opened := self.opened():
            self.press(opened[choice % len(opened)], action)

    @rule(choice=ANY, action=st.sampled_from(["refund", "refund", "refund a part", "dispute"]))
    def afterwards(self, choice, action):
        """Somebody acts on the processor's dashboard, or at the bank."""
        if opened := self.opened():
            name, _, part = action.partition(" ")
            self.press(opened[choice % len(opened)], name, **({"amount": 1000} if part else {}))

    @rule(mood=st.sampled_from(["succeed", "pending", "fail"]))
    def bank_changes_its_mood(self, mood):
        self.world.sandbox.post("/faults", {"refunds": mood})

    @rule()
    def outage(self):
        """It lasts until somebody has met it."""
        self.world.sandbox.post("/faults", dict.fromkeys(self.world.processors, "down"))

    @rule(choices=st.lists(ANY, min_size=1, max_size=4))
    def mail_comes(self, choices):
        for choice in choices[: len(self.waiting)]:
            self.deliver(self.waiting.pop(choice % len(self.waiting)))

    @rule(choice=ANY)
    def mail_comes_again(self, choice):
        if self.told:
            self.deliver(self.told[choice % len(self.told)])

    # --- What must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def the_books_are_sound(self):
        assert wrong_now() == {}

    @invariant()
    def the_money_is_where_the_ledger_says(self):
        rows = list(Payment.objects.select_related("booking"))
        paid = {row.processor_payment_id: row for row in rows if row.paid_at and row.status in ("paid", "refunded")}
        # Nothing but a verified event makes a payment paid.
        assert set(paid) <= set(self.known)
        for made, (payment_id, cents) in self.known.items():
            row = paid.get(made)
            if row is None:
                # Given back in full before it was told.
                assert Payment.objects.get(pk=payment_id).status == "refunded", made
                continue
            assert row.amount_cents == cents
            self.account_for(row)

    def account_for(self, row):
        """Money in = kept + given back + owed, and what is kept is kept for a reason."""
        if row.status == "refunded":
            return
        back = sum(row.refunds.exclude(status="failed").values_list("amount_cents", flat=True))
        if back < row.amount_cents:
            is_earned = row.booking.status in ALIVE or row.booking_id in self.kept_late
            assert is_earned or row.needs_review, (row.booking.status, row.amount_cents, back)

    # --- How it is done ----------------------------------------------------------------------------------------------

    def take(self, child, session):
        """The booking's id, or None where it was refused for a good reason."""
        child, session = self.world.children[child], Session.objects.get(pk=self.world.sessions[session].pk)
        allowed = self.why_not(child, session)
        result = self.attempt(
            lambda: bookings.book(parent=child.parent, child=child, session=session, now=timezone.now())
        )
        if isinstance(result, Error):
            assert result.code in allowed, (result.code, allowed)
            return None
        assert not allowed, allowed
        self.note_deadline(result.pk)
        return result.pk

    def note_deadline(self, booking):
        """A day before the first seat; moving to a later day does not make it later."""
        deadline = self.begins(booking) - timedelta(hours=24)
        self.deadlines[booking] = min(deadline, self.deadlines.get(booking, deadline))

    def begins(self, booking):
        """When the first session begins of those that it holds a seat in, or held until the end."""
        seats = Seat.objects.filter(booking=booking)
        last = None if seats.filter(released_at=None).exists() else seats.aggregate(last=Max("released_at"))["last"]
        return seats.filter(released_at=last).aggregate(first=Min("session__starts_at"))["first"]

    def why_not(self, child, session):
        """The codes with which a booking may be refused, found without the application's own checks."""
        offering = session.offering
        later = Session.objects.filter(offering=offering, status="scheduled").order_by("starts_at")
        if offering.type == "term":
            covered = list({session, *later.filter(starts_at__gt=timezone.now())})
        elif offering.type == "multi_session":
            others = later.filter(starts_at__gte=session.starts_at).exclude(pk=session.pk)
            covered = [session, *others[:1]]
        else:
            covered = [session]
        codes = set()
        if any(each.status != "scheduled" or each.starts_at <= timezone.now() for each in covered):
            codes.add("SESSION_NOT_BOOKABLE")
        if offering.type == "multi_session" and len(covered) < 2:
            codes.add("SESSION_NOT_BOOKABLE")
        if Seat.objects.held().filter(session__in=covered, child=child).exists():
            codes.add("ALREADY_BOOKED")
        if any(Seat.objects.held().filter(session=each).count() >= each.capacity for each in covered):
            codes.add("SESSION_FULL")
        return codes

    def attempt(self, verb, *, may_change=False):
        """What `verb` gives or the error with which it refuses, after which nothing may have changed."""
        before = fingerprint()
        try:
            result = verb()
        except Error as error:
            assert may_change or fingerprint() == before, error.code
            result = error
        self.collect()
        return result

    def opened(self):
        return list(Payment.objects.filter(processor_checkout_id__isnull=False).order_by("pk"))

    def press(self, payment, action, **fields):
        """A button at the processor; what it took goes into the ledger."""
        made = act(self.world.sandbox, payment.processor_checkout_id, action, **fields)
        if action == "pay" and "refused" in made:
            # The page has closed; the bank may pay all the same.
            made = act(self.world.sandbox, payment.processor_checkout_id, "late")
        if made.get("status") == "paid":
            self.took[made["paymentId"]] = payment.amount_cents if action != "wrong_amount" else 0
        self.collect()

    def work(self):
        """A worker does what the sweeps have queued."""
        while self.world.queue:
            name, args = self.world.queue.pop(0)
            current_app.tasks[name](*args)
        self.collect()

    def collect(self):
        """The events that the processors have made since we last looked; and whatever was down is up again."""
        self.world.sandbox.post("/faults", dict.fromkeys(self.world.processors, "up"))
        made = self.world.events(after=self.seen)
        self.seen += len(made)
        self.waiting += made

    def deliver(self, event):
        raw = event["body"].encode()
        if event["processor"] == "stripe":
            headers = {"Stripe-Signature": stripe_signature(raw)}
            path = STRIPE
        else:
            headers = {"X-Razorpay-Event-Id": event["id"], "X-Razorpay-Signature": razorpay_signature(raw)}
            path = RAZORPAY
        answer = self.world.api.post(
            path, raw=raw, **{name.replace("-", "_"): value for name, value in headers.items()}
        )
        outcome = processor(event["processor"]).read_event(raw, headers)
        if answer.status != 200:
            assert answer.status >= 500
            self.waiting.append(event)
            return
        self.told.append(event)
        if outcome.signal is Signal.PAID and self.took[outcome.processor_payment_id]:
            self.known[outcome.processor_payment_id] = outcome.payment_id, outcome.amount_cents

    def come_to_rest(self):
        """All that is outstanding happens; then everything must be at an end."""
        self.world.sandbox.post("/faults", NO_FAULTS | {"lose": 1})
        for _ in range(12):
            Booking.objects.filter(status=Booking.Status.PENDING_PAYMENT).update(expires_at=in_days(-0.001))
            self.sweep()
            self.send_refunds()
            for refund in Refund.objects.filter(status=Refund.Status.SENT).select_related("payment"):
                if processor(refund.payment.processor).refund_status(refund.processor_refund_id) == "pending":
                    self.world.settle(refund.processor_refund_id)
            self.collect()
            coming = self.waiting[::-1] if self.last_comes_first else self.waiting[:]
            self.waiting.clear()
            for event in coming:
                self.deliver(event)
            if not self.waiting and not Refund.objects.filter(status__in=["pending", "sent"]).exists():
                break
        assert self.waiting == []
        self.the_books_are_sound()
        self.the_money_is_where_the_ledger_says()
        assert wrong_when_quiet() == {}
        self.world.visited.update(
            note for (note,) in ask("SELECT DISTINCT note FROM payments_webhookevent WHERE note <> ''")
        )

    def compare_with_the_processors(self):
        for made, (payment_id, cents) in self.known.items():
            row = Payment.objects.filter(processor_payment_id=made).first() or Payment.objects.get(pk=payment_id)
            given_back = self.world.given_back(row.processor, made)
            ours = sum(row.refunds.filter(status="succeeded").values_list("amount_cents", flat=True))
            assert (cents, given_back) == (row.amount_cents, ours), row.status
        assert set(self.known) == {made for made, cents in self.took.items() if cents}
