"""What providers hear of reviews, and parents of the responses. A review is public, its author is not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from bookings.models import Review, ReviewStatus
from bookings.session_emails import NUMBER, OCCASIONS
from notifications.contents import Content
from notifications.letters import Letter, Reader, one_line
from notifications.models import NotificationKind


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """A review, as both sides see it."""

    activity: str
    provider: str
    rating: int
    comment: str
    response: str
    status: str
    booking: UUID

    @property
    def stars(self) -> str:
        return f"{self.rating} of 5 stars"


def opinions(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Opinion]:
    """Those that the user wrote, and those about a provider that they work for."""
    rows = (
        Review.objects.filter(pk__in=ids)
        .filter(Q(parent__user=user_id) | Q(booking__session__activity__provider__staff__user=user_id))
        .select_related("booking__session__activity__provider")
        .distinct()
    )
    return {row.pk: opinion(row) for row in rows}


def opinion(row: Review) -> Opinion:
    activity = row.booking.session.activity
    return Opinion(
        activity=one_line(activity.title),
        provider=one_line(activity.provider.business_name),
        rating=row.rating,
        comment=row.comment or "",
        response=row.response or "",
        status=row.status,
        booking=row.booking_id,
    )


def review_received(it: Opinion, reader: Reader) -> Letter:
    return Letter(
        subject=f"New review of {it.activity}: {it.stars}",
        title="You have a new review",
        summary=f"A parent gave {it.activity} {it.stars}.",
        facts=[("They wrote", it.comment)] if it.comment else [],
        button=("Respond", "/provider/reviews"),
        small=["You can respond once, and everybody can read it. Please name neither parent nor child."],
    )


def response_received(it: Opinion, reader: Reader) -> Letter:
    return Letter(
        subject=f"{it.provider} responded to your review",
        title="Your review has a response",
        summary=f"{it.provider} responded to what you wrote about {it.activity}.",
        facts=[("Their response", it.response)],
        button=("See your review", f"/bookings/{it.booking}/review"),
    )


def is_visible(it: Opinion, now: datetime) -> bool:
    return it.status == ReviewStatus.PUBLISHED


def sample(region: str, comment: str, response: str) -> Opinion:
    shared = {name: OCCASIONS[region][name] for name in ("activity", "provider")}
    return Opinion(
        **shared, rating=4, comment=comment, response=response, status=ReviewStatus.PUBLISHED, booking=NUMBER
    )


SAMPLES = {
    "us": sample(
        "us", "Patient teachers & warm water.\nThe changing rooms are small.", "Thank you! We are building new ones."
    ),
    "in": sample("in", "She dances all day long now.", "What a joy to hear, thank you."),
}

CONTENTS = {
    NotificationKind.REVIEW_RECEIVED: Content(find=opinions, write=review_received, still=is_visible, samples=SAMPLES),
    NotificationKind.RESPONSE_RECEIVED: Content(
        find=opinions,
        write=response_received,
        still=lambda it, now: it.status == ReviewStatus.PUBLISHED and bool(it.response),
        samples=SAMPLES,
    ),
}
