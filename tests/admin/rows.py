"""One row of every model that the admin shows, each time with relatives of its own where the model allows it."""

import uuid
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from bookings.models import CalendarFeed, Review, ReviewReport, RosterView, Seat
from core.models import AuditEntry, IdempotencyKey
from geography.models import City, Country, Locality
from juniro.groups import rights_of
from marketplace.models import ActivityImage, Category, ParentInterest
from messaging.models import Conversation, Message, MessageReport
from notifications.models import Bounce, Notification, NotificationPreference
from payments.models import Reconciliation, Refund, RefundRequest, WebhookEvent
from privacy.models import ErasureRequest, ExportRequest
from providers.models import Invitation
from regions.models import AppConfig, FeatureFlag, RatingAggregate, SharedAuditEntry, SlugReservation
from tests import factories as make
from users.models import AccountTombstone, User

CODES = ["FR", "DE", "NL", "ES"]
numbers = count()


def staff(*, groups: Iterable[str] = (), rights: Iterable[str] = (), **fields: Any) -> User:
    """A member of staff in these groups, with rights of their own such as "providers.change_provideraccount"."""
    email = fields.pop("email", f"staff{next(numbers)}@juniro.example")
    user = User.objects.create(email=email, is_staff=True, role="admin", home_region="us", **fields)
    user.groups.set([group(name) for name in groups])
    for app, codename in (right.split(".") for right in rights):
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def group(name: str) -> Group:
    """The group with its rights, also where a test has emptied the tables that migrations filled."""
    found, _ = Group.objects.get_or_create(name=name)
    wanted = {codename for _, _, codename in rights_of(name)}
    found.permissions.set(Permission.objects.filter(codename__in=wanted))
    return found


def country(n: int) -> Country:
    code = CODES[n % len(CODES)]
    return Country.objects.get_or_create(
        code=code, defaults={"name": f"Country {code}", "currency": "USD", "region": "us"}
    )[0]


def city(n: int) -> City:
    return City.objects.create(country=country(n), name=f"City {n}", slug=f"city-{n}", timezone="Europe/Paris")


def conversation(n: int) -> Conversation:
    booking = make.BookingFactory()
    provider = booking.session.activity.provider
    return Conversation.objects.create(parent=booking.parent, provider=provider, booking=booking)


def message(n: int) -> Message:
    thread = conversation(n)
    return Message.objects.create(
        conversation=thread,
        number=1,
        sender=thread.parent.user,
        sender_type="parent",
        content="Is Mia's bag with you?",
    )


def log_entry(n: int) -> LogEntry:
    flags = ContentType.objects.get_for_model(FeatureFlag)
    return LogEntry.objects.create(
        user=staff(), content_type=flags, object_id=str(uuid.uuid4()), object_repr="FLAG", action_flag=CHANGE
    )


ROWS: dict[str, Callable[[int], Any]] = {
    "admin.LogEntry": log_entry,
    "auth.Group": lambda n: Group.objects.create(name=f"Group {n}"),
    "bookings.Booking": lambda n: make.BookingFactory(),
    "bookings.CalendarFeed": lambda n: CalendarFeed.objects.create(
        user=(member := make.ProviderUserFactory()).user,
        provider_account=member.provider_account,
        location=make.LocationFactory(provider=member.provider_account),
        token_sha256=f"{n:064}",
    ),
    "bookings.Review": lambda n: Review.objects.create(
        booking=(booking := make.BookingFactory(status="completed")), parent=booking.parent, rating=4, comment="Good"
    ),
    "bookings.ReviewReport": lambda n: ReviewReport.objects.create(
        review=make.ReviewFactory(), reporter=make.UserFactory(), reason="Not about the activity"
    ),
    "bookings.RosterView": lambda n: RosterView.objects.create(
        user=make.ProviderUserFactory().user,
        session=make.SessionFactory(),
        format="html",
        children=3,
        request_id=f"request-{n}",
    ),
    "bookings.Seat": lambda n: Seat.objects.get(booking=make.BookingFactory()),
    "core.AuditEntry": lambda n: AuditEntry.objects.create(
        model="payments.Payment", object_id=str(uuid.uuid4()), action="changed", changes={"status": ["pending", "paid"]}
    ),
    "core.IdempotencyKey": lambda n: IdempotencyKey.objects.create(
        key=f"key-{n}",
        user_id=uuid.uuid4(),
        method="POST",
        path="/v1/me/bookings",
        body_sha256="0" * 64,
        response='{"secret": "of the parent"}',
        expires_at=make.in_days(1),
    ),
    "geography.City": city,
    "geography.Country": country,
    "geography.Locality": lambda n: Locality.objects.create(city=city(n), name=f"Quarter {n}", slug=f"quarter-{n}"),
    "marketplace.Activity": lambda n: make.ActivityFactory(category__name=f"Category {n}"),
    "marketplace.ActivityImage": lambda n: ActivityImage.objects.create(
        activity=make.ActivityFactory(), content_type="image/png", alt="Children in a pool"
    ),
    "marketplace.Category": lambda n: Category.objects.create(
        name=f"Leaf {n}", slug=f"leaf-{n}", parent=make.CategoryFactory(name=f"Branch {n}")
    ),
    "marketplace.Offering": lambda n: make.OfferingFactory(),
    "marketplace.ParentInterest": lambda n: ParentInterest.objects.create(
        parent=(child := make.ChildFactory()).parent, child=child, category=make.CategoryFactory(name=f"Interest {n}")
    ),
    "marketplace.Session": lambda n: make.SessionFactory(),
    "messaging.Attachment": lambda n: make.AttachmentFactory(
        conversation=(row := conversation(n)), uploader=row.parent.user
    ),
    "messaging.Conversation": conversation,
    "messaging.Message": message,
    "messaging.MessageReport": lambda n: MessageReport.objects.create(
        message=(row := message(n)), reporter=row.conversation.parent.user, reason="Rude"
    ),
    "notifications.Notification": lambda n: Notification.objects.create(
        user=make.UserFactory(), kind="booking_confirmed", subject_id=uuid.uuid4(), dedupe_key=f"told-{n}"
    ),
    "notifications.NotificationPreference": lambda n: NotificationPreference.objects.create(
        user=make.UserFactory(), kind="session_reminder"
    ),
    "notifications.Bounce": lambda n: Bounce.objects.create(
        user=make.UserFactory(), email_sha256=f"{n:064}", reason="hard_bounce", happened_at=make.in_days(-1)
    ),
    "payments.Payment": lambda n: make.PaymentFactory(),
    "payments.Reconciliation": lambda n: Reconciliation.objects.get_or_create(
        processor=["stripe", "razorpay"][n % 2], defaults={"until": make.in_days(0)}
    )[0],
    "payments.Refund": lambda n: Refund.objects.create(
        payment=make.PaymentFactory(status="paid"), amount_cents=2500, currency="USD", reason="cancelled in time"
    ),
    "payments.RefundRequest": lambda n: RefundRequest.objects.create(
        payment=make.PaymentFactory(status="paid"),
        amount_cents=2500,
        currency="USD",
        reason="The pool was cold",
        needs_approval=True,
        requested_by=staff(),
    ),
    "payments.WebhookEvent": lambda n: WebhookEvent.objects.create(
        processor="stripe",
        event_id=f"evt_{n}",
        body_sha256=f"{n:064}",
        type="checkout.session.completed",
        payload={"id": f"evt_{n}"},
        payment=make.PaymentFactory(),
    ),
    "privacy.ErasureRequest": lambda n: ErasureRequest.objects.create(
        user=make.UserFactory(), next_step_at=make.in_days(1)
    ),
    "privacy.ExportRequest": lambda n: ExportRequest.objects.create(
        user=make.UserFactory(), next_attempt_at=make.in_days(0)
    ),
    "providers.Invitation": lambda n: Invitation.objects.create(
        provider_account=make.ProviderAccountFactory(),
        email="coach@example.com",
        token_sha256=f"{n:064}",
        expires_at=make.in_days(7),
    ),
    "providers.Location": lambda n: make.LocationFactory(),
    "providers.ProviderAccount": lambda n: make.ProviderUserFactory().provider_account,
    "providers.ProviderUser": lambda n: make.ProviderUserFactory(),
    "regions.AppConfig": lambda n: AppConfig.objects.create(key=f"config-{n}", value={"n": n}),
    "regions.FeatureFlag": lambda n: FeatureFlag.objects.create(key=f"FLAG_{n}"),
    "regions.RatingAggregate": lambda n: RatingAggregate.objects.create(
        region="us", subject="activity", subject_id=uuid.uuid4(), count=2, average=4
    ),
    "regions.SharedAuditEntry": lambda n: SharedAuditEntry.objects.create(
        model="regions.FeatureFlag", object_id=str(uuid.uuid4()), action="created", changes={}, region="in"
    ),
    "regions.SlugReservation": lambda n: SlugReservation.objects.create(slug=f"slug-{n}", region="in"),
    "users.AccountTombstone": lambda n: AccountTombstone.objects.create(
        auth_id_sha256=f"{n:064}", deleted_at=make.in_days(-1)
    ),
    "users.Child": lambda n: make.ChildFactory(),
    "users.Consent": lambda n: make.ConsentFactory(),
    "users.Parent": lambda n: make.ParentFactory(),
    "users.User": lambda n: make.UserFactory(),
}


def row_of(label: str, n: int = 0) -> Any:
    assert label in ROWS, f"Write a row for {label} in tests/admin/rows.py."
    return ROWS[label](n)
