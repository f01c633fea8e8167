"""`manage.py seed_history`: two months of invented bookings behind the demo catalogue, and some trouble for ops."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from bookings.models import Booking, Review, ReviewReport, Seat
from marketplace.models import Activity, Offering, Session
from notifications.formats import ZONES
from payments.events import MAX_ATTEMPTS
from payments.models import Payment, Refund, RefundRequest, WebhookEvent
from providers.models import Location
from users.models import Child, Parent, User

DAYS = 60
FAMILIES = 60
CLASSES = 40
PRAISE = ("Exactly what we hoped for.", "Patient teachers, happy child.", "Good, if a little loud.", "We will be back.")


def row_id(kind: str, *which: object) -> UUID:
    return uuid5(NAMESPACE_URL, "/".join(map(str, ("juniro-history", settings.REGION, kind, *which))))


@transaction.atomic
def seed(*, now: datetime | None = None) -> int:
    """Adds the history once and returns how many bookings it has; 0 where it is there or there is no catalogue yet.

    All of it is over: its sessions have taken place, its money has come, and nobody is told of anything.
    """
    now = now or timezone.now()
    with connection.cursor() as cursor:
        # Two that seed at once take turns, and the second finds the rows of the first.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('seed_history'))")
    classes = list(offered())
    if not classes or User.objects.filter(pk=row_id("user", 0)).exists():
        return 0
    return History(classes, families(), now=now).write()


def offered() -> Iterator[tuple[Offering, Location]]:
    """Single classes that can be bought, with a place for each."""
    sold = Offering.objects.filter(
        type="single_session", status="active", price_cents__gt=0, activity__in=Activity.objects.public()
    )
    for offering in sold.select_related("activity").order_by("pk")[:CLASSES]:
        place = Location.objects.filter(provider=offering.activity.provider_id).order_by("-is_default", "pk").first()
        if place:
            yield offering, place


def families() -> list[Child]:
    users, parents, children = [], [], []
    for number in range(FAMILIES):
        user = User(
            id=row_id("user", number),
            auth_id=str(row_id("auth", number)),
            email=f"parent.{number}@juniro.example",
            home_region=settings.REGION,
        )
        parent = Parent(id=row_id("parent", number), user=user, first_name="Demo", last_name=f"Parent {number}")
        users.append(user)
        parents.append(parent)
        children.append(
            Child(id=row_id("child", number), parent=parent, first_name=f"Demo {number}", birth_date="2019-05-01")
        )
    User.objects.bulk_create(users)
    Parent.objects.bulk_create(parents)
    Child.objects.bulk_create(children)
    return children


class History:
    """Bookings of `children` for `classes`, day by day, a few more each week."""

    def __init__(self, classes: list[tuple[Offering, Location]], children: list[Child], *, now: datetime):
        self.classes, self.children, self.now = classes, children, now
        self.chance = random.Random(7)
        self.zone = ZoneInfo(ZONES[settings.REGION])
        self.rows: dict[type[Model], list[Any]] = {
            each: [] for each in (Session, Booking, Seat, Payment, Refund, RefundRequest, Review, ReviewReport)
        }

    def write(self) -> int:
        for back in range(DAYS + 5, 0, -1):
            busy = 3 + (DAYS - back) // 12
            for offering, place in self.chance.sample(self.classes, min(busy, len(self.classes))):
                self.hold_class(offering, place, back)
        self.rows[Session].sort(key=lambda each: each.starts_at)
        self.trouble()
        for model, rows in self.rows.items():
            model._default_manager.bulk_create(rows, batch_size=1000)
        self.failing_event()
        return len(self.rows[Booking])

    def add(self, model: type[Model], **fields: Any) -> Any:
        row = model(id=row_id(model.__name__, len(self.rows[model])), **fields)
        self.rows[model].append(row)
        return row

    def hold_class(self, offering: Offering, place: Location, back: int) -> None:
        """One class of the past, with some of its seats taken."""
        day = self.now.astimezone(self.zone).date() - timedelta(days=back)
        starts_at = datetime.combine(day, time(self.chance.choice((9, 10, 15, 16, 17))), self.zone).astimezone(UTC)
        session = self.add(
            Session,
            activity=offering.activity,
            offering=offering,
            location=place,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=1),
            capacity=self.chance.choice((8, 10, 12)),
            status="completed",
        )
        for child in self.chance.sample(self.children, self.chance.randint(1, session.capacity - 1)):
            self.book(session, offering, child)

    def book(self, session: Session, offering: Offering, child: Child) -> None:
        booked_at = session.starts_at - timedelta(minutes=self.chance.randint(90, 2000))
        is_cancelled = self.chance.random() < 0.07
        refundable_until = session.starts_at - timedelta(hours=offering.refund_window_hours)
        paid_at = booked_at + timedelta(minutes=2)
        cancelled_at = booked_at + timedelta(minutes=20) if is_cancelled else None
        refunded_at = cancelled_at and cancelled_at + timedelta(minutes=1)
        booking = self.add(
            Booking,
            session=session,
            offering=offering,
            child=child,
            parent_id=child.parent_id,
            status="cancelled" if is_cancelled else "completed",
            amount_cents=offering.price_cents,
            currency=offering.currency,
            refundable_until=max(refundable_until, booked_at + timedelta(hours=1)),
            confirmed_at=paid_at,
            cancelled_at=cancelled_at,
            cancellation_reason="Changed plans" if is_cancelled else "",
            created_at=booked_at,
        )
        self.add(Seat, booking=booking, session=session, child=child, released_at=cancelled_at, created_at=booked_at)
        session.enrolled += not is_cancelled
        number = len(self.rows[Payment])
        payment = self.add(
            Payment,
            booking=booking,
            amount_cents=booking.amount_cents,
            currency=booking.currency,
            processor=settings.PAYMENT_PROCESSORS[0],
            processor_payment_id=f"demo_payment_{number}",
            processor_checkout_id=f"demo_checkout_{number}",
            checkout_expires_at=booked_at + timedelta(minutes=35),
            status="refunded" if is_cancelled else "paid",
            paid_at=paid_at,
            refunded_at=refunded_at,
            created_at=booked_at + timedelta(seconds=20),
        )
        if cancelled_at:
            self.add(
                Refund,
                payment=payment,
                amount_cents=payment.amount_cents,
                currency=payment.currency,
                reason="Cancelled in time.",
                status="succeeded",
                processor_refund_id=f"demo_refund_{number}",
                attempts=1,
                succeeded_at=refunded_at,
                created_at=cancelled_at,
            )
        elif self.chance.random() < 0.15:
            self.add(
                Review,
                booking=booking,
                parent_id=child.parent_id,
                rating=self.chance.choice((3, 4, 4, 5, 5, 5)),
                comment=self.chance.choice(PRAISE),
                created_at=session.ends_at + timedelta(hours=5),
            )

    def trouble(self) -> None:
        """What a Monday brings: payments to look at, a refund that the processor refuses, reported reviews."""
        paid = [payment for payment in self.rows[Payment] if payment.status == "paid"]
        for payment, why in zip(
            paid[-3:],
            (
                "Paid 1 less than the amount of the checkout.",
                "Disputed by the payer.",
                "Paid a second time at the processor, but no event came.",
            ),
            strict=False,
        ):
            payment.needs_review, payment.status_reason = True, why
        for payment in paid[-4:-3]:
            payment.needs_review, payment.status_reason = True, "Its refund failed."
            self.add(
                Refund,
                payment=payment,
                amount_cents=payment.amount_cents // 2,
                currency=payment.currency,
                reason="Half of the class fell out.",
                status="failed",
                attempts=3,
                error="The card of this payment is closed.",
                created_at=self.now - timedelta(days=2, hours=3),
            )
        clerk, _ = User.objects.get_or_create(
            email="sam@juniro.localhost", is_staff=True, defaults={"role": "admin", "home_region": settings.REGION}
        )
        for payment in paid[-5:-4]:
            self.add(
                RefundRequest,
                payment=payment,
                amount_cents=payment.amount_cents,
                currency=payment.currency,
                reason="The hall was flooded, and nobody told the parents.",
                needs_approval=True,
                requested_by=clerk,
                created_at=self.now - timedelta(hours=5),
            )
        for review, reporter in zip(self.rows[Review][-2:], self.children, strict=False):
            review.rating, review.comment = 1, "The teacher, whose number is in every phone book, was late again."
            self.add(
                ReviewReport,
                review=review,
                reporter_id=reporter.parent.user_id,
                reason="This is about a person, not about the class.",
                created_at=self.now - timedelta(hours=20),
            )

    def failing_event(self) -> None:
        number = row_id("event", 0).hex
        WebhookEvent.objects.create(
            id=row_id("event", 0),
            processor=settings.PAYMENT_PROCESSORS[0],
            event_id=f"demo_event_{number}",
            body_sha256=number * 2,
            type="refund.failed",
            payload={},
            status="failed",
            # As often as a worker tries: the rest is for ops.
            attempts=MAX_ATTEMPTS,
            error="This event names no payment that we know.",
            created_at=self.now - timedelta(hours=9),
        )


class Command(BaseCommand):
    help = "Adds two months of invented bookings to the demo catalogue, once."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Added {seed()} bookings.")
