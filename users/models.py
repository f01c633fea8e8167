"""People: a user, their parent profile, their children and their consents (data model: Users & Authentication).

Names, phones and birth dates are PII: they stay in this region's database and never enter a log, a cache or a task.
"""

import hashlib
from datetime import date, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from core.classification import Privacy
from core.models import Model, Region, one_of, status_field


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        """Who signs in to the admin: staff, by e-mail. Parents and providers have no password here."""
        return self.get(is_staff=True, email__iexact=username)

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        fields |= {"is_staff": True, "is_superuser": True, "role": User.Role.ADMIN, "home_region": settings.REGION}
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class UserRole(models.TextChoices):
    PARENT = "parent"
    PROVIDER = "provider"
    ADMIN = "admin"


class User(Model, AbstractBaseUser, PermissionsMixin):
    """Somebody who signs in: parents and providers by a Supabase token, ops staff by password in the admin.

    `home_region` never changes; a trigger sees to it. `is_active = False` means suspended.
    """

    Role = UserRole

    auth_id = models.CharField(
        max_length=255, unique=True, null=True, blank=True, help_text="The Supabase user; empty for ops staff"
    )
    email = models.EmailField(blank=True)
    home_region = models.CharField(max_length=2, choices=Region.choices)
    country = models.ForeignKey("geography.Country", models.SET_NULL, null=True, blank=True)
    role = status_field(Role, Role.PARENT)
    is_staff = models.BooleanField(default=False, db_default=False)
    is_active = models.BooleanField(default=True, db_default=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(
        high="password",
        medium="auth_id email last_seen_at last_login",
        operational="home_region country role is_staff is_superuser is_active",
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        constraints = [
            one_of("role", UserRole.values, "user_role_allowed"),
            one_of("home_region", Region.values, "user_home_region_allowed"),
            models.UniqueConstraint(Lower("email"), condition=Q(is_staff=True), name="user_staff_email"),
            # A user comes in through Supabase or through the admin, and a user without either door is a mistake.
            models.CheckConstraint(condition=Q(auth_id__isnull=False) | Q(is_staff=True), name="user_has_a_door"),
        ]
        indexes = [
            models.Index(fields=["email"], name="user_email"),
            models.Index(fields=["role", "-id"], condition=~Q(role="parent"), name="user_not_parent"),
            models.Index(fields=["-id"], condition=Q(is_active=False), name="user_suspended"),
        ]
        permissions = [
            ("suspend_user", "Can suspend and reinstate people"),
            ("reset_second_factor", "Can reset the second factor of staff"),
            ("reveal_pii", "Can see names, contacts and birth dates, one record at a time"),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"


class Parent(Model):
    """A parent's profile; every synced user has one, so that a provider can book for their own children too."""

    user = models.OneToOneField(User, models.CASCADE, related_name="parent")
    first_name = models.CharField(max_length=100, blank=True, default="", db_default="")
    last_name = models.CharField(max_length=100, blank=True, default="", db_default="")
    phone = models.CharField(max_length=16, blank=True, default="", db_default="", help_text="E.164")

    privacy = Privacy(high="first_name last_name phone", operational="user")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(phone="") | Q(phone__regex=r"^\+[1-9][0-9]{6,14}$"), name="parent_phone_e164"
            )
        ]

    def __str__(self) -> str:
        return f"parent {self.pk}"


class ChildQuerySet(models.QuerySet["Child"]):
    def present(self) -> "ChildQuerySet":
        """Children whom their parent has not removed."""
        return self.filter(removed_at=None)


class Child(Model):
    """A child. Removing one who was ever booked keeps the row, without name and birth date, for the books."""

    parent = models.ForeignKey(Parent, models.CASCADE, related_name="children")
    first_name = models.CharField(max_length=100)
    last_name = models.CharField(max_length=100, blank=True, default="", db_default="")
    birth_date = models.DateField(null=True)
    removed_at = models.DateTimeField(null=True, editable=False)

    privacy = Privacy(high="first_name last_name birth_date", operational="parent removed_at")

    objects = ChildQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "children"
        constraints = [
            models.CheckConstraint(
                condition=Q(birth_date__isnull=False) | Q(removed_at__isnull=False), name="child_birth_date_known"
            )
        ]

    def __str__(self) -> str:
        return f"child {self.pk}"

    def age_on(self, day: date) -> int:
        """Whole years on `day`. A child born on 29 February has a birthday on 1 March in other years."""
        if self.birth_date is None:
            raise ValueError("A removed child has no age.")
        return day.year - self.birth_date.year - ((day.month, day.day) < (self.birth_date.month, self.birth_date.day))


class ConsentQuerySet(models.QuerySet["Consent"]):
    def latest_first(self, *, user: Any, kind: str, child: Any = None) -> "ConsentQuerySet":
        """The words of `user` about `kind`; with `child`, those about this child beside those about all of them."""
        about = Q(child=None) if child is None else Q(child=None) | Q(child=child)
        return self.filter(about, user=user, kind=kind).order_by("-id")

    def is_granted(self, *, user: User, kind: str, child: "Child | None" = None) -> bool:
        """Whether the latest word of `user` about `kind` is yes."""
        return bool(self.latest_first(user=user, kind=kind, child=child).values_list("granted", flat=True).first())


class ConsentKind(models.TextChoices):
    TERMS = "terms"
    PRIVACY = "privacy"
    CHILD_DATA = "child_data"
    MARKETING = "marketing"


class Consent(Model):
    """One decision of a user about one kind of consent; the latest one counts.

    A word about `child_data` may be about one `child` alone; without it, it is about all of them, those spoken of
    before included. Append-only: a trigger refuses to change a row, and to delete one before its user is erased.
    """

    Kind = ConsentKind

    user = models.ForeignKey(User, models.CASCADE, related_name="consents")
    kind = status_field(Kind)
    version = models.CharField(max_length=50)
    granted = models.BooleanField()
    # No constraint: the word stays as it was said when the child is gone.
    child = models.ForeignKey(Child, models.DO_NOTHING, null=True, blank=True, db_constraint=False, related_name="+")

    privacy = Privacy(operational="user kind version granted child")

    objects = ConsentQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("kind", ConsentKind.values, "consent_kind_allowed"),
            models.CheckConstraint(
                condition=Q(child__isnull=True) | Q(kind="child_data"), name="consent_of_a_child_is_about_its_data"
            ),
        ]
        indexes = [
            models.Index(fields=["user", "kind", "-id"], name="consent_latest"),
            models.Index(fields=["-id"], condition=Q(granted=False), name="consent_refused"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.version}: {'granted' if self.granted else 'refused'}"


class AccountTombstone(Model):
    """A deleted account's Supabase id, hashed, so that a token which outlives the account cannot recreate it."""

    auth_id_sha256 = models.CharField(max_length=64, unique=True)
    deleted_at = models.DateTimeField()

    privacy = Privacy(medium="auth_id_sha256", operational="deleted_at")

    def __str__(self) -> str:
        return f"deleted {self.deleted_at:%Y-%m-%d}"

    @classmethod
    def hash(cls, auth_id: str) -> str:
        return hashlib.sha256(auth_id.encode()).hexdigest()

    @classmethod
    def bury(cls, auth_id: str, *, now: datetime) -> None:
        cls.objects.get_or_create(auth_id_sha256=cls.hash(auth_id), defaults={"deleted_at": now})
