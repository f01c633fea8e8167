"""What parents say afterwards, and who may see it.

Averages count published reviews only. Those of this region's catalogue follow in the same transaction (a trigger keeps
the search rows); the ones of the global layer are noted here and pushed by a sweep, so that they survive its outage.
"""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import structlog
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Avg, Count

from bookings.models import Booking, RatingStale, ReportStatus, Review, ReviewReport
from core.dispatch import after_commit
from core.errors import Error, InvalidState
from notifications.models import Notification
from notifications.services import notify
from providers.models import ProviderUser, StaffRole
from regions.models import RatingSubject
from regions.services import put_rating
from users.models import User

log = structlog.get_logger("juniro.reviews")

EDITABLE = timedelta(days=7)
# Held to the end of the transaction.
ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"


class ReviewNotAllowed(Error):
    status, code, message = 409, "REVIEW_NOT_ALLOWED", "Only a completed booking can be reviewed."


class AlreadyReviewed(Error):
    status, code, message = 409, "ALREADY_REVIEWED", "This booking has its review already."


class AlreadyReported(Error):
    status, code, message = 409, "INVALID_STATE", "You have reported this review already."


def write(*, booking: Booking, rating: int, comment: str | None, now: datetime) -> Review:
    """The parent's one review of a completed booking. Raises `ReviewNotAllowed`, `AlreadyReviewed`."""
    if booking.status != Booking.Status.COMPLETED:
        raise ReviewNotAllowed
    try:
        with transaction.atomic():
            review = Review.objects.create(
                booking=booking, parent=booking.parent, rating=rating, comment=comment, created_at=now
            )
            note_rating(review)
            provider = booking.session.activity.provider_id
            staff = ProviderUser.objects.filter(provider_account=provider, role__in=[StaffRole.OWNER, StaffRole.ADMIN])
            notify(
                staff.values_list("user_id", flat=True),
                kind=Notification.Kind.REVIEW_RECEIVED,
                subject_id=review.pk,
                now=now,
            )
    except IntegrityError:
        raise AlreadyReviewed from None
    return review


def edit(*, review_id: UUID, changes: dict[str, object], now: datetime) -> Review:
    """Another rating or comment, within seven days. Raises `ReviewNotAllowed`, and `InvalidState` for a hidden one."""
    with transaction.atomic():
        review = lock(review_id)
        if now > review.created_at + EDITABLE:
            raise ReviewNotAllowed("A review can be changed for seven days.")
        if review.status != Review.Status.PUBLISHED:
            raise InvalidState("This review was hidden by Juniro and cannot be changed.")
        for field, value in changes.items():
            setattr(review, field, value)
        review.edited_at = now
        review.save(update_fields=[*changes, "edited_at", "updated_at"])
        note_rating(review)
    return review


def respond(*, review_id: UUID, response: str, now: datetime) -> Review:
    """The provider's one response, which everybody may read. Raises `InvalidState` where there is one."""
    with transaction.atomic():
        review = lock(review_id)
        if review.status != Review.Status.PUBLISHED:
            raise InvalidState("This review was hidden by Juniro.")
        if review.response is not None:
            raise InvalidState("This review has its response already.")
        review.response, review.responded_at = response, now
        review.save(update_fields=["response", "responded_at", "updated_at"])
        notify([review.parent.user_id], kind=Notification.Kind.RESPONSE_RECEIVED, subject_id=review.pk, now=now)
    return review


def report(*, review: Review, reporter: User, reason: str) -> ReviewReport:
    """Asks ops to look at a review; it stays visible until they decide. Raises `AlreadyReported`."""
    made, is_new = ReviewReport.objects.get_or_create(review=review, reporter=reporter, defaults={"reason": reason})
    if not is_new:
        raise AlreadyReported
    return made


def hide(*, review_id: UUID, reason: str) -> Review:
    """Takes a review out of sight and out of every average; its open reports are upheld. Raises `InvalidState`."""
    with transaction.atomic():
        review = lock(review_id).move(Review.Status.HIDDEN, hidden_reason=reason)
        settle(review, ReviewReport.Status.UPHELD)
        note_rating(review)
    return review


def show(*, review_id: UUID) -> Review:
    """Brings a hidden review back. Raises `InvalidState`."""
    with transaction.atomic():
        review = lock(review_id).move(Review.Status.PUBLISHED, hidden_reason="")
        note_rating(review)
    return review


def dismiss_reports(*, review_id: UUID) -> None:
    """The review is fine as it is."""
    with transaction.atomic():
        settle(lock(review_id), ReviewReport.Status.DISMISSED)


def settle(review: Review, outcome: ReportStatus) -> None:
    for each in review.reports.filter(status=ReviewReport.Status.OPEN):
        each.move(outcome)


def lock(review_id: UUID) -> Review:
    return Review.objects.select_for_update(of=("self",), no_key=True).select_related("booking").get(pk=review_id)


# --- The global layer ------------------------------------------------------------------------------------------------


def note_rating(review: Review) -> None:
    """Writes down that the averages of this review's activity and provider have to be pushed."""
    stale = RatingStale.objects.create(activity_id=review.booking.session.activity_id)
    after_commit("bookings.tasks.push_rating", stale.activity_id)


def push_ratings(*, batch: int = 200) -> int:
    """Pushes what is noted; returns how many activities. What the global layer does not take stays noted."""
    pushed = 0
    for activity_id in RatingStale.objects.order_by("activity").values_list("activity", flat=True).distinct()[:batch]:
        try:
            pushed += push_rating(activity_id)
        except DatabaseError as error:
            log.warning("ratings not pushed, the next sweep tries again", kind=type(error).__name__)
            break
    return pushed


def push_rating(activity_id: UUID) -> bool:
    """Brings the global averages of an activity and its provider up to date. False if another worker is at it.

    The averages are read after the notes, and one worker at a time pushes those of a provider, so an older average
    never overwrites a newer one. Raises `DatabaseError` without the global layer, and the notes stay.
    """
    with transaction.atomic():
        notes = list(RatingStale.objects.filter(activity=activity_id).select_related("activity"))
        if not notes:
            return False
        provider_id = notes[0].activity.provider_id
        with connection.cursor() as cursor:
            cursor.execute(ONE_AT_A_TIME, [f"rating:{provider_id}"])
            if not cursor.fetchone()[0]:
                return False
        subjects = {
            RatingSubject.ACTIVITY: (activity_id, {"booking__session__activity": activity_id}),
            RatingSubject.PROVIDER: (provider_id, {"booking__session__activity__provider": provider_id}),
        }
        for subject, (subject_id, where) in subjects.items():
            found = Review.objects.published().filter(**where).aggregate(count=Count("pk"), average=Avg("rating"))
            average = Decimal(found["average"] or 0).quantize(Decimal("0.01"), ROUND_HALF_UP)
            put_rating(subject=subject, subject_id=subject_id, count=found["count"], average=average)
        RatingStale.objects.filter(pk__in=[note.pk for note in notes]).delete()
    return True
