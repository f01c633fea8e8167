"""Businesses that run activities, the people who work for them, and the places where they do.

Source: data model, Providers.
"""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from core.classification import Privacy
from core.models import Lifecycle, Model, one_of, status_field


class StaffRole(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    STAFF = "staff"


class InvitedRole(models.TextChoices):
    """Nobody is invited as an owner: owners make owners."""

    ADMIN = "admin"
    STAFF = "staff"


class ProviderType(models.TextChoices):
    BUSINESS = "business"
    INDIVIDUAL = "individual"


class ProviderStatus(models.TextChoices):
    PENDING = "pending"
    VERIFIED = "verified"
    SUSPENDED = "suspended"
    REJECTED = "rejected"


class ProviderAccount(Lifecycle, Model):
    """A business or an individual. Its activities are public only while `status` is verified."""

    Type = ProviderType

    Status = ProviderStatus

    TRANSITIONS = {
        Status.PENDING: {Status.VERIFIED, Status.REJECTED},
        Status.VERIFIED: {Status.SUSPENDED},
        Status.SUSPENDED: {Status.VERIFIED},
        Status.REJECTED: {Status.PENDING},
    }

    business_name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=80, unique=True)
    type = status_field(Type, Type.BUSINESS)
    status = status_field(Status, Status.PENDING)
    status_reason = models.TextField(blank=True, default="", db_default="", help_text="Shown to the provider")
    submitted_at = models.DateTimeField(null=True, blank=True, help_text="When verification was asked for")
    verified_at = models.DateTimeField(null=True, blank=True)
    description = models.TextField(blank=True, default="", db_default="")
    email = models.EmailField(blank=True, default="", db_default="")
    phone = models.CharField(max_length=16, blank=True, default="", db_default="", help_text="E.164")
    website = models.URLField(blank=True, default="", db_default="")

    users = models.ManyToManyField("users.User", through="ProviderUser", related_name="provider_accounts")

    privacy = Privacy(
        medium="email phone status_reason",
        operational="status submitted_at verified_at",
        public="business_name slug type description website",
    )

    class Meta:
        constraints = [
            one_of("type", ProviderType.values, "provideraccount_type_allowed"),
            one_of("status", ProviderStatus.values, "provideraccount_status_allowed"),
            models.CheckConstraint(
                condition=~Q(status="verified") | Q(verified_at__isnull=False), name="provideraccount_verified_at_known"
            ),
        ]
        indexes = [models.Index(fields=["submitted_at"], condition=Q(status="pending"), name="provideraccount_queue")]

    def __str__(self) -> str:
        return self.business_name

    def verify(self, *, now: datetime) -> Self:
        """The provider goes live."""
        return self.move(self.Status.VERIFIED, verified_at=now, status_reason="")

    def reject(self, *, reason: str) -> Self:
        return self.move(self.Status.REJECTED, status_reason=reason)

    def suspend(self, *, reason: str) -> Self:
        """Takes the provider out of the catalogue at once."""
        return self.move(self.Status.SUSPENDED, status_reason=reason)


class ProviderUser(Model):
    """A user's place in a provider account."""

    provider_account = models.ForeignKey(ProviderAccount, models.CASCADE, related_name="staff")
    user = models.ForeignKey("users.User", models.CASCADE, related_name="provider_users")
    role = status_field(StaffRole, StaffRole.STAFF)

    privacy = Privacy(operational="provider_account user role")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider_account", "user"], name="provideruser_account_user_unique"),
            one_of("role", StaffRole.values, "provideruser_role_allowed"),
        ]

    def __str__(self) -> str:
        return f"{self.role} of {self.provider_account_id}"


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> "InvitationQuerySet":
        """Those that nobody has accepted, expired ones among them."""
        return self.filter(accepted_at=None)

    def due(self, *, now: datetime) -> "InvitationQuerySet":
        """Those whose mail is to be sent."""
        return self.open().filter(next_attempt_at__lte=now, expires_at__gt=now)


class Invitation(Model):
    """An offer to join a provider's staff. Only the token's hash is kept; it works once and until `expires_at`.

    The token itself is made from `nonce` and the server's secret (`providers.invitations.token_of`), so that the mail
    can be written, and written again, without the token being anywhere.
    """

    provider_account = models.ForeignKey(ProviderAccount, models.CASCADE, related_name="invitations")
    invited_by = models.ForeignKey("users.User", models.SET_NULL, null=True, related_name="+")
    email = models.EmailField()
    role = status_field(StaffRole, StaffRole.STAFF)
    nonce = models.CharField(max_length=32, default="", db_default="")
    token_sha256 = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True, help_text="When its mail is sent; empty once it was")
    sent_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(
        high="nonce",
        medium="email",
        operational="provider_account invited_by role token_sha256 expires_at accepted_at next_attempt_at sent_at",
    )

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("role", InvitedRole.values, "invitation_role_allowed"),
            models.UniqueConstraint(
                "provider_account", Lower("email"), condition=Q(accepted_at__isnull=True), name="invitation_one_open"
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="invitation_due")
        ]

    def __str__(self) -> str:
        return f"invitation as {self.role}"


class Location(Model):
    """A place where a provider's sessions happen; its clock is its city's."""

    provider = models.ForeignKey(ProviderAccount, models.CASCADE, related_name="locations")
    name = models.CharField(max_length=200)
    address = models.CharField(max_length=500)
    city = models.ForeignKey("geography.City", models.PROTECT, related_name="locations")
    locality = models.ForeignKey("geography.Locality", models.SET_NULL, null=True, blank=True, related_name="locations")
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    is_default = models.BooleanField(default=False, db_default=False)

    privacy = Privacy(
        medium="address latitude longitude",
        operational="is_default",
        public="provider name city locality",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider"], condition=Q(is_default=True), name="location_one_default"),
            models.CheckConstraint(condition=Q(latitude__range=(-90, 90)), name="location_latitude_range"),
            models.CheckConstraint(condition=Q(longitude__range=(-180, 180)), name="location_longitude_range"),
        ]

    def __str__(self) -> str:
        return self.name
