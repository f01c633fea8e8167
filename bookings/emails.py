"""What parents and providers hear of bookings.

Providers' mail names no child and no parent: who comes stands on the roster, near the day and nowhere else.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Prefetch, Q

from bookings.calendars import of_booking
from bookings.models import Booking, BookingStatus, Seat
from bookings.session_emails import NUMBER, OCCASIONS, WITH_PLACE, Facts, Occasion, listed, occasion
from notifications.contents import Content
from notifications.letters import Attachment, Letter, Reader
from notifications.models import NotificationKind


@dataclass(frozen=True, kw_only=True)
class Booked(Occasion):
    """A booking. Of several sessions, `starts_at` is the first one's and `last_at` the last one's."""

    booking: UUID
    is_mine: bool
    status: str
    child: str
    sessions: int
    last_at: datetime
    price_cents: int
    currency: str
    expires_at: datetime | None = None
    refundable_until: datetime | None = None
    reason: str = ""
    is_reviewed: bool = False

    @property
    def path(self) -> str:
        return f"/bookings/{self.booking}"

    def facts(self, reader: Reader) -> Facts:
        facts = super().facts(reader)
        if self.sessions > 1:
            last = reader.moment(self.last_at, self.zone)
            facts.insert(2, ("Sessions", f"{self.sessions}, the last one on {last}"))
        return facts

    def price(self, reader: Reader) -> str:
        return reader.money(self.price_cents, self.currency) if self.price_cents else "Free"


def bookings(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Booked]:
    """Those that the user made, and those with a provider that they work for."""
    held = Seat.objects.held().select_related(*(f"session__{path}" for path in WITH_PLACE))
    rows = (
        Booking.objects.filter(pk__in=ids)
        .filter(Q(parent__user=user_id) | Q(session__activity__provider__staff__user=user_id))
        .select_related("parent", "child", "review", *(f"session__{path}" for path in WITH_PLACE))
        .prefetch_related(Prefetch("seats", held, to_attr="held"))
    )
    return {row.pk: booked(row, is_mine=row.parent.user_id == user_id) for row in rows.distinct()}


def booked(row: Booking, *, is_mine: bool) -> Booked:
    sessions = sorted((seat.session for seat in row.held), key=lambda each: each.starts_at)  # type: ignore[attr-defined]
    sessions = sessions or [row.session]
    return Booked(
        **occasion(sessions[0]),
        booking=row.pk,
        is_mine=is_mine,
        status=row.status,
        child=row.child.first_name if is_mine else "",
        sessions=len(sessions),
        last_at=sessions[-1].starts_at,
        price_cents=row.amount_cents,
        currency=row.currency,
        expires_at=row.expires_at,
        refundable_until=row.refundable_until,
        # What a parent writes there is not for the provider's mailboxes.
        reason=row.cancellation_reason if is_mine else "",
        is_reviewed=hasattr(row, "review"),
    )


def confirmed(it: Booked, reader: Reader) -> Letter:
    free_until = it.refundable_until if it.refundable_until and it.refundable_until > reader.at else None
    small = [f"Cancel by {reader.moment(free_until, it.zone)} and you get everything back."] if free_until else []
    return Letter(
        subject=f"Booked: {it.activity}, {it.when(reader)}",
        title="Your booking is confirmed",
        summary=f"{it.activity} on {it.when(reader)} is booked.",
        facts=[*it.facts(reader), ("For", listed([it.child])), ("Price", it.price(reader))],
        button=("See your booking", it.path),
        small=[*(small if it.price_cents else []), "The attached file puts it into your calendar."],
    )


def calendar(it: Booked, reader: Reader) -> list[Attachment]:
    """The dates for the parent's calendar."""
    if not it.is_mine:
        return []
    return [Attachment(name="booking.ics", type="text/calendar", content=of_booking(it.booking).decode())]


def received(it: Booked, reader: Reader) -> Letter:
    return Letter(
        subject=f"New booking: {it.activity}, {it.when(reader)}",
        title="You have a new booking",
        summary=f"A child is booked for {it.activity} on {it.when(reader)}.",
        facts=[*it.facts(reader), ("Price", it.price(reader))],
        button=("See the roster", f"/provider/sessions/{it.session}"),
    )


MONEY_BACK = "If money is due back to you, we will write again as soon as it is on its way."


def cancelled(it: Booked, reader: Reader) -> Letter:
    summary = f"The booking of {it.activity} on {it.when(reader)} is cancelled."
    if not it.is_mine:
        return Letter(
            subject=f"Booking cancelled: {it.activity}, {it.when(reader)}",
            title="A booking was cancelled",
            summary=summary,
            paragraphs=["The seat is free again."],
            facts=it.facts(reader),
            button=("See the roster", f"/provider/sessions/{it.session}"),
        )
    return Letter(
        subject=f"Cancelled: {it.activity}, {it.when(reader)}",
        title="Your booking is cancelled",
        summary=summary,
        paragraphs=[MONEY_BACK] if it.price_cents else [],
        facts=[
            *it.facts(reader),
            ("For", listed([it.child])),
            *([("Reason", it.reason)] if it.reason else []),
        ],
        button=("See your booking", it.path),
    )


def rescheduled(it: Booked, reader: Reader) -> Letter:
    if not it.is_mine:
        return Letter(
            subject=f"Booking moved: {it.activity}, {it.when(reader)}",
            title="A booking was moved",
            summary=f"A booking of {it.activity} was moved to {it.when(reader)}.",
            facts=it.facts(reader),
            button=("See the roster", f"/provider/sessions/{it.session}"),
        )
    return Letter(
        subject=f"Moved: {it.activity}, now {it.when(reader)}",
        title="Your booking was moved",
        summary=f"{it.activity} is now on {it.when(reader)}.",
        facts=[*it.facts(reader), ("For", listed([it.child]))],
        button=("See your booking", it.path),
        small=["The attached file puts it into your calendar. Please remove the old date there."],
    )


def hold_ending(it: Booked, reader: Reader) -> Letter:
    until = reader.moment(it.expires_at, it.zone) if it.expires_at else "soon"
    return Letter(
        subject=f"{it.activity}: your seat is held until {until}",
        title="Your seat is about to be given away",
        summary=f"{it.activity} is not paid yet. We hold the seat until {until}.",
        facts=[*it.facts(reader), ("For", listed([it.child])), ("Price", it.price(reader))],
        button=("Pay now", it.path),
        small=["If you no longer want it, you need not do anything."],
    )


def review_prompt(it: Booked, reader: Reader) -> Letter:
    return Letter(
        subject=f"How was {it.activity}?",
        title=f"How was {it.activity}?",
        summary=f"Other parents would like to know how {it.activity} at {it.provider} was.",
        paragraphs=["A few stars and a sentence are enough. Please do not name your child."],
        button=("Write a review", f"{it.path}/review"),
    )


def is_now(*statuses: BookingStatus) -> Callable[[Booked, datetime], bool]:
    """The booking has not gone on to another state since."""
    return lambda it, now: it.status in statuses


def is_held(it: Booked, now: datetime) -> bool:
    return it.status == BookingStatus.PENDING_PAYMENT and it.expires_at is not None and it.expires_at > now


STANDING = (BookingStatus.CONFIRMED, BookingStatus.COMPLETED, BookingStatus.NO_SHOW)

# --- Samples ---------------------------------------------------------------------------------------------------------

SAMPLES = {
    "us": Booked(
        **OCCASIONS["us"],
        booking=NUMBER,
        is_mine=True,
        status=BookingStatus.CONFIRMED,
        child="Mia",
        sessions=1,
        last_at=datetime(2026, 3, 7, 16, 0, tzinfo=UTC),
        price_cents=4500,
        currency="USD",
        expires_at=datetime(2026, 3, 4, 16, 35, tzinfo=UTC),
        refundable_until=datetime(2026, 3, 6, 16, 0, tzinfo=UTC),
    ),
    "in": Booked(
        **OCCASIONS["in"],
        booking=NUMBER,
        is_mine=True,
        status=BookingStatus.CONFIRMED,
        child="Aarav",
        sessions=10,
        last_at=datetime(2026, 5, 9, 4, 30, tzinfo=UTC),
        price_cents=12_500_00,
        currency="INR",
        expires_at=datetime(2026, 3, 4, 12, 35, tzinfo=UTC),
        refundable_until=datetime(2026, 3, 6, 4, 30, tzinfo=UTC),
    ),
}
FOR_PROVIDERS = {region: replace(it, is_mine=False, child="") for region, it in SAMPLES.items()}

CONTENTS = {
    NotificationKind.BOOKING_CONFIRMED: Content(
        find=bookings, write=confirmed, attach=calendar, still=is_now(*STANDING), samples=SAMPLES
    ),
    NotificationKind.BOOKING_RECEIVED: Content(
        find=bookings, write=received, still=is_now(*STANDING), samples=FOR_PROVIDERS
    ),
    NotificationKind.BOOKING_CANCELLED: Content(
        find=bookings, write=cancelled, still=is_now(BookingStatus.CANCELLED), samples=SAMPLES
    ),
    NotificationKind.BOOKING_RESCHEDULED: Content(
        find=bookings,
        write=rescheduled,
        attach=calendar,
        still=is_now(BookingStatus.CONFIRMED, BookingStatus.PENDING_PAYMENT),
        samples=SAMPLES,
    ),
    NotificationKind.HOLD_ENDING: Content(find=bookings, write=hold_ending, still=is_held, samples=SAMPLES),
    NotificationKind.REVIEW_PROMPT: Content(
        find=bookings,
        write=review_prompt,
        still=lambda it, now: it.status == BookingStatus.COMPLETED and not it.is_reviewed,
        samples=SAMPLES,
    ),
}
