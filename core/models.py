"""What every table shares: time-ordered ids, timestamps, and state machines that move by compare-and-swap."""

from collections.abc import Iterable
from typing import Any, ClassVar, Self

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from uuid_utils.compat import uuid7

from core.classification import Privacy
from core.errors import InvalidState


class Model(models.Model):
    """A row with a time-ordered UUID (version 7 where we make it) and UTC timestamps."""

    # Every default also stands in the database, so that a plain INSERT gets the same row as the ORM's.
    id = models.UUIDField(primary_key=True, default=uuid7, db_default=RandomUUID(), editable=False)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now(), editable=False)

    privacy: ClassVar[Privacy] = Privacy(operational="id created_at updated_at")

    class Meta:
        abstract = True


class Lifecycle(models.Model):
    """A row with a `status` that only moves along `TRANSITIONS`.

    Moves are compare-and-swap: the UPDATE names the status that we read, so of two that race one wins and the
    other gets `InvalidState`.
    """

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {}

    status: str

    class Meta:
        abstract = True

    def can_move(self, to: str) -> bool:
        return to in self.TRANSITIONS.get(self.status, set())

    def move(self, to: str, **changes: Any) -> Self:
        """Moves this row to `to`, writing `changes` in the same UPDATE. Raises `InvalidState`."""
        name = self._meta.verbose_name
        if not self.can_move(to):
            raise InvalidState(f"A {name} that is {self.status} cannot become {to}.")
        changes |= {"status": to, "updated_at": timezone.now()}
        if not type(self)._default_manager.filter(pk=self.pk, status=self.status).update(**changes):
            raise InvalidState(f"This {name} was changed by someone else in the meantime.")
        for field, value in changes.items():
            setattr(self, field, value)
        return self


def status_field(choices: type[models.TextChoices], default: str | None = None, **options: Any) -> models.CharField:
    """A string column for `choices`; pair it with `one_of`, which makes the database refuse any other string."""
    if default is not None:
        options |= {"default": default, "db_default": str(default)}
    return models.CharField(max_length=20, choices=choices.choices, **options)


def one_of(field: str, choices: Iterable[str], name: str) -> models.CheckConstraint:
    """The CHECK that `field` holds one of `choices`."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [str(choice) for choice in choices]}), name=name)


class Region(models.TextChoices):
    US = "us", "United States"
    IN = "in", "India"


class Currency(models.TextChoices):
    USD = "USD", "USD"
    INR = "INR", "INR"


class IdempotencyKey(Model):
    """The answer to one request that carried an `Idempotency-Key`, kept until `expires_at` (data model: Idempotency).

    `response` is text, not jsonb, so that a replay repeats the first answer byte for byte.
    """

    key = models.CharField(max_length=255)
    user_id = models.UUIDField()
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=500)
    body_sha256 = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField(null=True)
    response = models.TextField(null=True)
    expires_at = models.DateTimeField(db_index=True)

    privacy = Privacy(
        high="response",
        medium="key",
        operational="user_id method path body_sha256 status_code expires_at",
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user_id", "key"], name="idempotencykey_user_key_unique")]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class AuditAction(models.TextChoices):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class AuditRow(models.Model):
    """One change of one row, written by a trigger. `changes` has old and new by column, null for a personal one."""

    Action = AuditAction

    at = models.DateTimeField(db_default=Now(), help_text="When its transaction began")
    model = models.CharField(max_length=100)
    object_id = models.CharField(max_length=64)
    action = models.CharField(max_length=10, choices=AuditAction.choices)
    changes = models.JSONField()
    actor_id = models.UUIDField(null=True, help_text="The user who did it; empty for tasks and the command line")
    region = models.CharField(max_length=2, blank=True)
    request_id = models.CharField(max_length=128, blank=True, help_text="Of the request or the task, as in the logs")
    source = models.CharField(max_length=200, blank=True, help_text="Route or task")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.model} {self.object_id} {self.action}"


class AuditEntry(AuditRow):
    """The audit trail of this region's tables (`juniro/audited.py`)."""

    privacy = Privacy(operational="id at model object_id action changes actor_id region request_id source")

    class Meta:
        verbose_name_plural = "audit trail"
        indexes = [
            models.Index(fields=["object_id", "-id"], name="auditentry_object"),
            models.Index(fields=["actor_id", "-id"], condition=Q(actor_id__isnull=False), name="auditentry_actor"),
            models.Index(fields=["model", "-id"], name="auditentry_model"),
            models.Index(fields=["request_id"], condition=~Q(request_id=""), name="auditentry_request"),
            models.Index(fields=["at"], name="auditentry_at"),
        ]
