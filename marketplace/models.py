"""What providers offer and parents find: categories, activities, offerings, sessions.

Source: data model, Activities & Offerings. The search rows at the end stand here, too: they are the same catalogue once
more, and a column that is added above is seldom none of theirs.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q

from core.classification import Privacy
from core.models import Currency, Lifecycle, Model, one_of, status_field
from providers.models import ProviderAccount


class Category(Model):
    """A branch or leaf of the category tree."""

    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=100, unique=True)
    position = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Order among its siblings")
    is_active = models.BooleanField(default=True, db_default=True)

    privacy = Privacy(public="parent name slug position is_active")

    class Meta:
        verbose_name_plural = "categories"
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class ActivityQuerySet(models.QuerySet["Activity"]):
    def public(self) -> "ActivityQuerySet":
        """What parents may see: published, by a verified provider, in an active category."""
        return self.filter(
            status=Activity.Status.PUBLISHED,
            provider__status=ProviderAccount.Status.VERIFIED,
            category__is_active=True,
        )


class ActivityStatus(models.TextChoices):
    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


class Activity(Lifecycle, Model):
    """Something a provider offers, such as a soccer camp or piano lessons. Ages are whole years, both ends included."""

    Status = ActivityStatus

    TRANSITIONS = {
        Status.DRAFT: {Status.PUBLISHED, Status.ARCHIVED},
        Status.PUBLISHED: {Status.DRAFT, Status.ARCHIVED},
        Status.ARCHIVED: {Status.DRAFT},
    }

    provider = models.ForeignKey(ProviderAccount, models.CASCADE, related_name="activities")
    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=120)
    summary = models.CharField(max_length=300, blank=True, default="", db_default="")
    description = models.TextField(blank=True, default="", db_default="")
    category = models.ForeignKey(Category, models.PROTECT, related_name="activities")
    age_min = models.PositiveSmallIntegerField(null=True, blank=True)
    age_max = models.PositiveSmallIntegerField(null=True, blank=True)
    duration = models.PositiveIntegerField(null=True, blank=True, help_text="Minutes")
    image_url = models.URLField(max_length=500, blank=True, default="", db_default="")
    status = status_field(Status, Status.DRAFT)
    published_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(
        operational="status",
        public="provider title slug summary description category age_min age_max duration image_url published_at",
    )

    objects = ActivityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "activities"
        constraints = [
            models.UniqueConstraint(fields=["provider", "slug"], name="activity_provider_slug_unique"),
            models.CheckConstraint(condition=Q(age_min__lte=F("age_max")), name="activity_age_range"),
            one_of("status", ActivityStatus.values, "activity_status_allowed"),
        ]
        indexes = [models.Index(fields=["slug"], name="activity_slug")]

    def __str__(self) -> str:
        return self.title

    def accepts_age(self, age: int) -> bool:
        return (self.age_min is None or age >= self.age_min) and (self.age_max is None or age <= self.age_max)


class ImageStatus(models.TextChoices):
    PENDING = "pending"
    READY = "ready"


class ActivityImage(Lifecycle, Model):
    """A picture of an activity: announced, uploaded, then checked and made ready. Its file is named for its id.

    The first by `position` is the activity's `image_url`.
    """

    Status = ImageStatus

    TRANSITIONS = {Status.PENDING: {Status.READY}}

    activity = models.ForeignKey(Activity, models.CASCADE, related_name="images")
    content_type = models.CharField(max_length=50, help_text="Of what is uploaded; what is shown is always a JPEG")
    alt = models.CharField(max_length=300, blank=True, default="", db_default="")
    position = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Order among its siblings")
    status = status_field(Status, Status.PENDING)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)

    privacy = Privacy(operational="content_type status", public="activity alt position width height")

    class Meta:
        constraints = [one_of("status", ImageStatus.values, "activityimage_status_allowed")]
        indexes = [models.Index(fields=["created_at"], condition=Q(status="pending"), name="activityimage_pending")]

    def __str__(self) -> str:
        return f"image of {self.activity_id}"


class OfferingType(models.TextChoices):
    SINGLE_SESSION = "single_session"
    MULTI_SESSION = "multi_session"
    CAMP = "camp"
    TERM = "term"


class OfferingStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"


class Offering(Model):
    """A way to buy an activity: one class, a package of N, a camp, or a whole term. Prices in cents or paise."""

    Type = OfferingType

    Status = OfferingStatus

    activity = models.ForeignKey(Activity, models.CASCADE, related_name="offerings")
    type = status_field(Type, Type.SINGLE_SESSION)
    name = models.CharField(max_length=200, null=True, blank=True)
    price_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    session_count = models.PositiveSmallIntegerField(null=True, blank=True, help_text="For multi_session: how many")
    refund_window_hours = models.PositiveIntegerField(
        default=24, db_default=24, help_text="Until how many hours before the start a cancellation is refunded in full"
    )
    status = status_field(Status, Status.ACTIVE)

    privacy = Privacy(public="activity type name price_cents currency session_count refund_window_hours status")

    class Meta:
        constraints = [
            one_of("type", OfferingType.values, "offering_type_allowed"),
            one_of("status", OfferingStatus.values, "offering_status_allowed"),
            one_of("currency", Currency.values, "offering_currency_allowed"),
            models.CheckConstraint(
                # A NULL count must fail too, and SQL's CHECK lets NULL pass: hence the isnull.
                condition=~Q(type="multi_session") | Q(session_count__isnull=False, session_count__gte=1),
                name="offering_session_count",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.get_type_display()


class LocalDay(models.Func):
    """The day that a moment falls on in an IANA zone, both of them columns."""

    template = "(%(expressions)s)::date"
    arg_joiner = " AT TIME ZONE "
    output_field = models.DateField()


class SessionQuerySet(models.QuerySet["Session"]):
    def bookable(self, *, now: datetime) -> "SessionQuerySet":
        """Sessions that a parent may book at `now`, whether or not a seat is free."""
        return self.filter(
            status=Session.Status.SCHEDULED,
            starts_at__gt=now,
            offering__status=Offering.Status.ACTIVE,
            activity__in=Activity.objects.public(),
        )

    def with_free_seat(self) -> "SessionQuerySet":
        return self.filter(enrolled__lt=F("capacity"))

    def on_days(self, first: date | None, last: date | None) -> "SessionQuerySet":
        """Those that begin on these days of their location's calendar, both included; None is no limit."""
        found = self.alias(local_day=LocalDay("starts_at", "location__city__timezone"))
        if first:
            found = found.filter(local_day__gte=first)
        return found.filter(local_day__lte=last) if last else found


class SessionStatus(models.TextChoices):
    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


class Session(Lifecycle, Model):
    """A time slot that can be booked. `enrolled` always equals the seats held; the CHECK keeps it within `capacity`."""

    Status = SessionStatus

    TRANSITIONS = {Status.SCHEDULED: {Status.CANCELLED, Status.COMPLETED}}

    activity = models.ForeignKey(Activity, models.CASCADE, related_name="sessions")
    offering = models.ForeignKey(Offering, models.CASCADE, related_name="sessions")
    # Not PROTECT: with its provider a used location may go, alone it may not.
    location = models.ForeignKey("providers.Location", models.RESTRICT, related_name="sessions")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    capacity = models.PositiveIntegerField()
    enrolled = models.PositiveIntegerField(default=0, db_default=0)
    status = status_field(Status, Status.SCHEDULED)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancellation_reason = models.CharField(max_length=500, blank=True, default="", db_default="")
    series_id = models.UUIDField(null=True, blank=True, help_text="Shared by the sessions of one weekly recurrence")
    sequence = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Goes up with every change of time, place or status, as calendars ask"
    )

    privacy = Privacy(
        medium="cancellation_reason",
        operational="cancelled_at series_id sequence",
        public="activity offering location starts_at ends_at capacity enrolled status",
    )

    objects = SessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(starts_at__lt=F("ends_at")), name="session_starts_before_it_ends"),
            models.CheckConstraint(
                condition=Q(enrolled__gte=0, enrolled__lte=F("capacity")), name="session_enrolled_within_capacity"
            ),
            one_of("status", SessionStatus.values, "session_status_allowed"),
        ]
        indexes = [
            models.Index(fields=["activity", "starts_at"], name="session_by_activity"),
            models.Index(fields=["offering", "starts_at"], name="session_by_offering"),
            models.Index(fields=["location", "starts_at"], name="session_by_location"),
            models.Index(fields=["-starts_at", "-id"], name="session_by_start"),
            models.Index(fields=["ends_at"], condition=Q(status="scheduled"), name="session_ending"),
            models.Index(fields=["cancelled_at"], condition=Q(status="cancelled"), name="session_cancelled"),
            models.Index(
                fields=["series_id", "starts_at"], condition=Q(series_id__isnull=False), name="session_by_series"
            ),
        ]
        permissions = [("cancel_session", "Can cancel sessions with everybody's money going back")]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:%M} UTC"

    @property
    def spots_left(self) -> int:
        return self.capacity - self.enrolled

    def local_date(self) -> date:
        """The day on which it starts where it takes place."""
        return self.starts_at.astimezone(ZoneInfo(self.location.city.timezone)).date()


class ParentInterest(Model):
    """A category that a parent wants to hear of, for the family or for one child."""

    parent = models.ForeignKey("users.Parent", models.CASCADE, related_name="interests")
    category = models.ForeignKey(Category, models.CASCADE, related_name="+")
    child = models.ForeignKey("users.Child", models.CASCADE, null=True, blank=True, related_name="interests")

    privacy = Privacy(operational="parent category child")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["parent", "category", "child"], name="parentinterest_unique", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"interest in {self.category_id}"


COUNTED = ["age_min", "age_max", "price_cents", "offering_types", "week_mask", "free_week_mask"]
AROUND = [
    *("latitude", "longitude", "next_session_at", "id", "category_slug", "age_min", "age_max", "price_cents"),
    *("week_mask", "free_week_mask", "is_primary", "activity"),
]


class SearchRow(models.Model):
    """A public activity in one of its cities, as search needs it: finished card, filter columns, text.

    Exactly one row of an activity is primary: the only city's, or one more (`city` empty) for all of its cities
    together. Written by the database alone (marketplace/migrations/0002_search.sql), so that nothing can change an
    activity and forget its rows. `next_session_at` is far in the future and prices are huge where there are none, so
    that rows sort and page by plain comparison.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    card = models.TextField(help_text="JSON, as lists send it")
    document = SearchVectorField()
    title = models.CharField(max_length=200)
    category_slug = models.TextField()
    category_slugs = ArrayField(models.TextField(), help_text="Its category and all above it")
    provider_slug = models.TextField()
    country_code = models.TextField()
    city_slug = models.TextField()
    locality_slugs = ArrayField(models.TextField())
    age_min = models.SmallIntegerField()
    age_max = models.SmallIntegerField()
    price_cents = models.IntegerField(help_text="Of the cheapest active offering")
    offering_types = ArrayField(models.TextField())
    rating_average = models.FloatField()
    rating_count = models.IntegerField()
    next_session_at = models.DateTimeField()
    slots = ArrayField(models.IntegerField(), help_text="Local day times three plus part of the day")
    free_slots = ArrayField(models.IntegerField(), help_text="Those with a free seat")
    week_mask = models.IntegerField(help_text="The slots of the week that occur, Monday morning being bit 0")
    free_week_mask = models.IntegerField(help_text="Those with a free seat")
    latitude = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    published_at = models.DateTimeField()
    is_primary = models.BooleanField()
    activity = models.ForeignKey(Activity, models.CASCADE, related_name="search_rows", db_index=False)
    city = models.ForeignKey("geography.City", models.CASCADE, null=True, related_name="+")

    privacy = Privacy(
        medium="latitude longitude",
        operational="id is_primary",
        public="card document title category_slug category_slugs provider_slug country_code city_slug "
        "locality_slugs age_min age_max price_cents offering_types rating_average rating_count "
        "next_session_at slots free_slots week_mask free_week_mask published_at activity city",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["activity", "city"], name="searchrow_activity_city_unique"),
            models.UniqueConstraint(fields=["activity"], condition=Q(is_primary=True), name="searchrow_one_primary"),
        ]
        indexes = [
            GinIndex(fields=["document"], name="search_document"),
            GinIndex(fields=["free_slots"], name="search_free_slots"),
            GinIndex(fields=["slots"], name="search_slots"),
            GinIndex(fields=["locality_slugs"], name="search_locality"),
            # Ages and weekdays are nearly always asked for, so that neither a count nor the way to a page's first
            # activity need leave the index.
            *(
                models.Index(
                    fields=[*scope, column, "id"],
                    include=["age_min", "age_max", "week_mask", "free_week_mask"],
                    condition=Q(is_primary=True) if "city_slug" not in scope else None,
                    name=f"search_{name}",
                )
                for scope, column, name in (
                    ([], "next_session_at", "all_soon"),
                    ([], "price_cents", "all_price"),
                    (["category_slug"], "next_session_at", "category_soon"),
                    (["category_slug"], "price_cents", "category_price"),
                    (["city_slug"], "next_session_at", "city_soon"),
                    (["city_slug"], "price_cents", "city_price"),
                    (["city_slug", "category_slug"], "next_session_at", "city_category"),
                    (["provider_slug"], "next_session_at", "provider_soon"),
                )
            ),
            models.Index(fields=["rating_average", "id"], condition=Q(is_primary=True), name="search_all_rating"),
            models.Index(fields=["published_at", "id"], condition=Q(is_primary=True), name="search_all_newest"),
            # A circle: looked for among the soonest rows, or cut out.
            *(
                models.Index(
                    fields=fields,
                    include=[each for each in AROUND if each not in fields],
                    condition=Q(latitude__isnull=False),
                    name=f"search_{name}",
                )
                for fields, name in (
                    (["next_session_at", "id"], "near_soon"),
                    (["category_slug", "next_session_at", "id"], "near_category"),
                    (["latitude", "longitude"], "place"),
                )
            ),
            # What facets count, in the order of the table's pages as far as that goes.
            models.Index(
                fields=["category_slug"], include=COUNTED, condition=Q(is_primary=True), name="search_category_facets"
            ),
            models.Index(fields=["city_slug"], include=["category_slug", *COUNTED], name="search_city_facets"),
        ]

    def __str__(self) -> str:
        return f"{self.title} in {self.city_slug or 'several cities'}"


class SearchStale(models.Model):
    """A note that an activity's sessions or seats changed; a worker refreshes its rows and removes the note."""

    activity_id = models.UUIDField()

    privacy = Privacy(operational="id activity_id")

    def __str__(self) -> str:
        return str(self.activity_id)


class SearchWord(models.Model):
    """A word that occurs in titles, categories and providers' names: what a typo may have meant."""

    word = models.TextField(primary_key=True)
    occurrences = models.IntegerField()

    privacy = Privacy(public="word occurrences")

    def __str__(self) -> str:
        return self.word
