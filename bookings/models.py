"""A child's place in one or more sessions, and what the parent said afterwards (data model: Bookings & Payments)."""

from datetime import datetime

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from core.classification import Privacy
from core.models import Currency, Lifecycle, Model, one_of, status_field


class BookingQuerySet(models.QuerySet["Booking"]):
    def for_display(self) -> "BookingQuerySet":
        """With everything that a booking's answer shows, in a fixed number of queries."""
        return self.select_related("session__activity__provider").prefetch_related(
            "seats__session__location__city", "payments__refunds"
        )

    def overdue(self, *, now: datetime) -> "BookingQuerySet":
        """Holds whose time is up."""
        return self.filter(status=Booking.Status.PENDING_PAYMENT, expires_at__lte=now)


class BookingStatus(models.TextChoices):
    PENDING_PAYMENT = "pending_payment"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    EXPIRED = "expired"


class Booking(Lifecycle, Model):
    """A parent's booking of one offering for one child. `session` is the first session that it covers.

    `amount_cents` is the price agreed when it was made; later price changes do not touch it. A booking outlives the
    account that made it (de-identified), hence PROTECT.
    """

    Status = BookingStatus

    TRANSITIONS = {
        Status.PENDING_PAYMENT: {Status.CONFIRMED, Status.EXPIRED, Status.CANCELLED},
        Status.CONFIRMED: {Status.COMPLETED, Status.CANCELLED, Status.NO_SHOW},
        Status.EXPIRED: {Status.CONFIRMED},
    }

    session = models.ForeignKey("marketplace.Session", models.PROTECT, related_name="bookings")
    offering = models.ForeignKey("marketplace.Offering", models.PROTECT, related_name="bookings")
    parent = models.ForeignKey("users.Parent", models.PROTECT, related_name="bookings")
    child = models.ForeignKey("users.Child", models.PROTECT, related_name="bookings")
    status = status_field(Status, Status.PENDING_PAYMENT)
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When the hold ends, while payment is pending")
    refundable_until = models.DateTimeField(
        help_text="Until when a cancellation is refunded in full; moving to a later day keeps it"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancellation_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    privacy = Privacy(
        high="cancellation_reason",
        operational="session offering parent child status amount_cents currency expires_at refundable_until "
        "confirmed_at cancelled_at",
    )

    objects = BookingQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", BookingStatus.values, "booking_status_allowed"),
            one_of("currency", Currency.values, "booking_currency_allowed"),
            models.CheckConstraint(
                condition=~Q(status="pending_payment") | Q(expires_at__isnull=False), name="booking_hold_has_an_end"
            ),
        ]
        indexes = [
            models.Index(fields=["parent", "-id"], name="booking_by_parent"),
            models.Index(fields=["expires_at"], condition=Q(status="pending_payment"), name="booking_holds"),
            models.Index(fields=["id"], include=["session"], condition=Q(status="confirmed"), name="booking_standing"),
            models.Index(
                fields=["status", "-id"],
                condition=Q(status__in=["cancelled", "no_show", "expired"]),
                name="booking_not_taken_up",
            ),
            BrinIndex(fields=["created_at"], autosummarize=True, name="booking_created"),
        ]
        permissions = [("cancel_booking", "Can cancel bookings with all of their money going back")]

    def __str__(self) -> str:
        return f"booking {self.pk}"


class SeatQuerySet(models.QuerySet["Seat"]):
    def held(self) -> "SeatQuerySet":
        return self.filter(released_at=None)


class Attendance(models.TextChoices):
    PRESENT = "present"
    ABSENT = "absent"


class Seat(Model):
    """One seat in one session, held by a booking until `released_at`. One held seat per child and session.

    `attendance` is what staff noted on the day; None where nobody did.
    """

    Attendance = Attendance

    booking = models.ForeignKey(Booking, models.CASCADE, related_name="seats")
    session = models.ForeignKey("marketplace.Session", models.PROTECT, related_name="seats")
    child = models.ForeignKey("users.Child", models.PROTECT, related_name="seats")
    released_at = models.DateTimeField(null=True, blank=True)
    attendance = status_field(Attendance, null=True, blank=True)
    attendance_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(operational="booking session child released_at attendance attendance_at")

    objects = SeatQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session", "child"], condition=Q(released_at__isnull=True), name="seat_one_per_child"
            ),
            models.UniqueConstraint(
                fields=["booking", "session"], condition=Q(released_at__isnull=True), name="seat_one_per_booking"
            ),
            one_of("attendance", Attendance.values, "seat_attendance_allowed"),
            models.CheckConstraint(
                condition=Q(attendance__isnull=True, attendance_at__isnull=True)
                | Q(attendance__isnull=False, attendance_at__isnull=False),
                name="seat_attendance_at_known",
            ),
        ]
        indexes = [
            models.Index(fields=["attendance", "-id"], condition=Q(attendance__isnull=False), name="seat_attended")
        ]

    def __str__(self) -> str:
        return f"seat in {self.session_id}"


class ReviewQuerySet(models.QuerySet["Review"]):
    def published(self) -> "ReviewQuerySet":
        """Those that everybody may see and that count."""
        return self.filter(status=Review.Status.PUBLISHED)


class ReviewStatus(models.TextChoices):
    PUBLISHED = "published"
    HIDDEN = "hidden"


class Review(Lifecycle, Model):
    """What a parent said about a completed booking, once, and the provider's one response."""

    Status = ReviewStatus

    TRANSITIONS = {Status.PUBLISHED: {Status.HIDDEN}, Status.HIDDEN: {Status.PUBLISHED}}

    booking = models.OneToOneField(Booking, models.PROTECT, related_name="review")
    parent = models.ForeignKey("users.Parent", models.PROTECT, related_name="reviews")
    rating = models.PositiveSmallIntegerField()
    comment = models.TextField(null=True, blank=True)
    response = models.TextField(null=True, blank=True)
    responded_at = models.DateTimeField(null=True, blank=True)
    edited_at = models.DateTimeField(null=True, blank=True)
    status = status_field(Status, Status.PUBLISHED)
    hidden_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    privacy = Privacy(
        medium="comment response hidden_reason",
        operational="booking parent responded_at edited_at status",
        public="rating",
    )

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(rating__range=(1, 5)), name="review_rating_range"),
            one_of("status", ReviewStatus.values, "review_status_allowed"),
        ]
        indexes = [models.Index(fields=["-id"], condition=Q(status="hidden"), name="review_hidden")]
        permissions = [("moderate_review", "Can hide and show reviews, and dismiss reports of them")]

    def __str__(self) -> str:
        return f"{self.rating} stars"


class ReportStatus(models.TextChoices):
    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"


class ReviewReport(Lifecycle, Model):
    """A review that somebody found wrong, for ops to decide about."""

    Status = ReportStatus

    TRANSITIONS = {Status.OPEN: {Status.UPHELD, Status.DISMISSED}}

    review = models.ForeignKey(Review, models.CASCADE, related_name="reports")
    reporter = models.ForeignKey("users.User", models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500)
    status = status_field(Status, Status.OPEN)

    privacy = Privacy(medium="reason", operational="review reporter status")

    class Meta:
        constraints = [
            one_of("status", ReportStatus.values, "reviewreport_status_allowed"),
            models.UniqueConstraint(fields=["review", "reporter"], name="reviewreport_once"),
        ]
        indexes = [models.Index(fields=["review"], condition=Q(status="open"), name="reviewreport_open")]

    def __str__(self) -> str:
        return f"report of {self.review_id}"


class RatingStale(models.Model):
    """A note that an activity's reviews changed; a worker pushes the averages to the global layer and removes it."""

    activity = models.ForeignKey("marketplace.Activity", models.CASCADE, related_name="+")

    privacy = Privacy(operational="id activity")

    def __str__(self) -> str:
        return str(self.activity_id)


class RosterFormat(models.TextChoices):
    JSON = "json"
    CSV = "csv"
    HTML = "html"


class RosterView(Model):
    """That somebody was shown children's details on a session's roster; nothing of what was shown."""

    Format = RosterFormat

    user = models.ForeignKey("users.User", models.SET_NULL, null=True, related_name="+")
    session = models.ForeignKey("marketplace.Session", models.CASCADE, related_name="roster_views")
    format = status_field(Format)
    children = models.PositiveIntegerField(help_text="How many had their details on it")
    request_id = models.CharField(max_length=128)

    privacy = Privacy(operational="user session format children request_id")

    class Meta:
        constraints = [one_of("format", RosterFormat.values, "rosterview_format_allowed")]
        indexes = [
            models.Index(fields=["request_id"], name="rosterview_request"),
            BrinIndex(fields=["created_at"], autosummarize=True, name="rosterview_created"),
        ]

    def __str__(self) -> str:
        return f"roster of {self.session_id}"


class CalendarFeed(Model):
    """An address that a calendar program reads without signing in; only its token's hash is kept.

    Without `provider_account` it shows the user's own bookings, with it the sessions of that account, or of one of its
    places. A user has at most one of each; a new one takes the old one's place.
    """

    user = models.ForeignKey("users.User", models.CASCADE, related_name="calendar_feeds")
    provider_account = models.ForeignKey("providers.ProviderAccount", models.CASCADE, null=True, related_name="+")
    location = models.ForeignKey("providers.Location", models.CASCADE, null=True, related_name="+")
    token_sha256 = models.CharField(max_length=64, unique=True)

    privacy = Privacy(operational="user provider_account location token_sha256")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "provider_account", "location"], name="calendarfeed_one_each", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=Q(location__isnull=True) | Q(provider_account__isnull=False),
                name="calendarfeed_location_of_account",
            ),
        ]

    def __str__(self) -> str:
        return f"calendar of {self.location_id or self.provider_account_id or self.user_id}"
