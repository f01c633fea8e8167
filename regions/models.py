"""All of the global database: coordination between the regions, never anything about a person.

Source: API architecture §4.3. The regions router keeps exactly these tables there.
"""

from django.db import models
from django.db.models import Q

from core.classification import Privacy
from core.models import AuditRow, Model, Region, one_of


class SlugReservation(Model):
    """A provider's slug, taken once over both regions."""

    slug = models.SlugField(max_length=80, unique=True)
    region = models.CharField(max_length=2, choices=Region.choices)
    held_for = models.UUIDField(null=True, help_text="The provider account that is about to take it; empty once it has")

    privacy = Privacy(operational="held_for", public="slug region")

    class Meta:
        constraints = [one_of("region", Region.values, "slugreservation_region_allowed")]
        indexes = [
            models.Index(fields=["created_at"], condition=Q(held_for__isnull=False), name="slugreservation_held")
        ]

    def __str__(self) -> str:
        return self.slug


class RatingSubject(models.TextChoices):
    ACTIVITY = "activity"
    PROVIDER = "provider"


class RatingAggregate(Model):
    """How many reviews an activity or a provider has, and their average; no identifier of a person."""

    Subject = RatingSubject

    region = models.CharField(max_length=2, choices=Region.choices)
    subject = models.CharField(max_length=20, choices=Subject.choices)
    subject_id = models.UUIDField()
    count = models.PositiveIntegerField(default=0, db_default=0)
    average = models.DecimalField(max_digits=3, decimal_places=2, default=0, db_default=0)

    privacy = Privacy(public="region subject subject_id count average")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["region", "subject", "subject_id"], name="ratingaggregate_subject_unique"),
            models.CheckConstraint(condition=Q(average__gte=0, average__lte=5), name="ratingaggregate_average_range"),
            one_of("region", Region.values, "ratingaggregate_region_allowed"),
            one_of("subject", RatingSubject.values, "ratingaggregate_subject_allowed"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}: {self.average} ({self.count})"


class FeatureFlag(Model):
    """A switch for both regions (data model: FeatureFlag). Read it with `flags.is_enabled`."""

    key = models.CharField(max_length=100, unique=True)
    value = models.BooleanField(default=False, db_default=False)
    description = models.TextField(null=True, blank=True)

    privacy = Privacy(operational="key value description")

    def __str__(self) -> str:
        return self.key


class AppConfig(Model):
    """A setting that ops may change while everything runs, for both regions."""

    key = models.CharField(max_length=100, unique=True)
    value = models.JSONField()
    description = models.TextField(null=True, blank=True)

    privacy = Privacy(operational="key value description")

    class Meta:
        verbose_name = "app config value"

    def __str__(self) -> str:
        return self.key


class SharedAuditEntry(AuditRow):
    """The audit trail of what both regions share. Of staff it has an id, which their own region alone can resolve."""

    privacy = Privacy(operational="id at model object_id action changes actor_id region request_id source")

    class Meta:
        verbose_name_plural = "audit trail of both regions"
        indexes = [models.Index(fields=["object_id", "-id"], name="sharedauditentry_object")]
