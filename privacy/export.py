"""Everything that this region holds about a person, for that person (API architecture §6).

An allowlist: what is not named in `SECTIONS` is not exported, and a test fails for a table that points at a person and
stands neither here nor in `LEFT_OUT`.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Model, QuerySet

from bookings.models import Booking, CalendarFeed, Review, ReviewReport, RosterView, Seat
from core.dispatch import after_commit
from core.envelope import camelize_key
from core.errors import InvalidState
from marketplace.models import ParentInterest
from messaging.attachments import file_name
from messaging.models import Attachment, Conversation, Message, MessageReport
from notifications.models import Bounce, Notification, NotificationPreference
from payments.models import Payment, Refund, RefundRequest, WebhookEvent
from privacy.models import ErasureRequest, ExportRequest
from providers.models import Invitation, Location, ProviderAccount, ProviderUser, StaffRole
from users.models import AccountTombstone, Child, Consent, Parent, User

log = structlog.get_logger("juniro.privacy")

KEPT_FOR = timedelta(days=3)
MAX_ATTEMPTS = 5


@dataclass(frozen=True)
class Section:
    """One part of the export: whose rows, found how, and which of their columns (`relation__column` for others').

    `without` names the columns that are not told: ours alone, or told elsewhere. `whose` is what `of` is compared with,
    as a rule the user's id.
    """

    name: str
    model: type[Model]
    of: str
    columns: str
    without: str = ""
    whose: Callable[[User], Any] = attrgetter("pk")

    def rows(self, user: User) -> list[dict[str, Any]]:
        rows = self.model._default_manager.filter(**{self.of: self.whose(user)}).order_by("pk")
        names = self.columns.split()
        return [
            {camelize_key(name.replace("__", "_")): value for name, value in zip(names, row, strict=True)}
            for row in rows.values_list(*names)
        ]


def owned_by(user: User) -> Any:
    """The provider accounts that `user` is an owner of, as a subquery."""
    return ProviderUser.objects.filter(user=user, role=StaffRole.OWNER).values("provider_account")


SECTIONS = [
    Section(
        "account",
        User,
        "pk",
        "id email role home_region country__code is_active last_seen_at created_at",
        without="password last_login is_superuser auth_id is_staff",
    ),
    Section("profile", Parent, "user", "first_name last_name phone"),
    Section("children", Child, "parent__user", "id first_name last_name birth_date removed_at created_at"),
    Section("interests", ParentInterest, "parent__user", "category__name child_id created_at"),
    Section("consents", Consent, "user", "id kind version granted child_id created_at"),
    Section(
        "bookings",
        Booking,
        "parent__user",
        "id status child_id session__activity__title session__activity__provider__business_name session__starts_at "
        "amount_cents currency expires_at refundable_until confirmed_at cancelled_at cancellation_reason created_at",
        without="offering",
    ),
    Section(
        "seats",
        Seat,
        "booking__parent__user",
        "booking_id child_id session__starts_at session__ends_at session__location__name session__location__address "
        "attendance attendance_at released_at",
    ),
    Section(
        "payments",
        Payment,
        "booking__parent__user",
        "id booking_id status amount_cents currency processor processor_payment_id processor_checkout_id paid_at "
        "failed_at refunded_at created_at",
        without="checkout_url checkout_expires_at status_reason idempotency_key needs_review reviewed_at reviewed_by "
        "review_note looked_up_at pending_at",
    ),
    Section(
        "refunds",
        Refund,
        "payment__booking__parent__user",
        "id payment_id status amount_cents currency reason processor_refund_id succeeded_at created_at",
        without="attempts refusals next_attempt_at error is_external",
    ),
    Section(
        "reviews",
        Review,
        "parent__user",
        "id booking_id rating comment status hidden_reason response responded_at edited_at created_at",
    ),
    Section("review_reports", ReviewReport, "reporter", "review_id reason status created_at"),
    Section(
        "conversations",
        Conversation,
        "parent__user",
        "id provider__business_name booking_id subject status last_message_at parent_read_at created_at",
        without="provider_read_at blocked_by",
    ),
    Section(
        "messages",
        Message,
        "conversation__parent__user",
        "conversation_id number sender_type content attachments read_at created_at",
        without="sender hidden_at",
    ),
    Section(
        "attachments",
        Attachment,
        "message__conversation__parent__user",
        "id message_id content_type name size_bytes created_at",
        without="conversation uploader status",
    ),
    Section("message_reports", MessageReport, "reporter", "message_id reason status created_at", without="resolution"),
    Section(
        "notifications",
        Notification,
        "user",
        "kind subject_id status sent_at read_at created_at",
        without="dedupe_key attempts next_attempt_at error",
    ),
    Section("notification_preferences", NotificationPreference, "user", "kind email"),
    Section("bounces", Bounce, "user", "reason happened_at", without="email_sha256"),
    Section(
        "calendar_feeds",
        CalendarFeed,
        "user",
        "provider_account__business_name location__name created_at",
        without="token_sha256",
    ),
    Section("businesses", ProviderUser, "user", "provider_account__business_name role created_at"),
    # What the business is called and where it can be reached is its owner's, more so where somebody works alone.
    Section(
        "business_profiles",
        ProviderAccount,
        "pk__in",
        "id business_name slug type status status_reason submitted_at verified_at description email phone website "
        "created_at",
        whose=owned_by,
    ),
    Section(
        "business_places",
        Location,
        "provider__in",
        "id name address city__name locality__name latitude longitude is_default created_at",
        whose=owned_by,
    ),
    Section(
        "exports",
        ExportRequest,
        "user",
        "id status expires_at created_at",
        without="progress attempts next_attempt_at file",
    ),
    Section(
        "erasure_requests",
        ErasureRequest,
        "user",
        "id status next_step_at erased_at completed_at created_at",
        without="auth_id attempts auth_deleted_at receipt_to receipt_due_at slugs error",
    ),
]

# Tables that point at a person and are not exported, each with the reason.
LEFT_OUT: dict[type[Model], str] = {
    WebhookEvent: "The processor's news about a payment; what it says of the person stands in payments and refunds.",
    Invitation: "Names the invited address; who is staff stands in businesses.",
    RefundRequest: "What staff asked and decided among themselves; what came of it stands in refunds.",
    RosterView: "Tells who looked at a roster, an audit of the provider's staff.",
    AccountTombstone: "A hash of an account that is gone.",
}


def everything_about(user: User, *, now: datetime, told: Callable[[int], object] = lambda _: None) -> dict[str, Any]:
    """The export as data, keys in camelCase; `told` hears how many per cent are done."""
    data: dict[str, Any] = {
        "residency": {
            "region": settings.REGION,
            "homeRegion": user.home_region,
            "statement": "All of this is held in this region only. No other region has a copy.",
            "exportedAt": now,
        }
    }
    for number, section in enumerate(SECTIONS, start=1):
        data[camelize_key(section.name)] = section.rows(user)
        told(number * 90 // len(SECTIONS))
    return data


# --- Archives, made by a worker --------------------------------------------------------------------------------------


def request_export(*, user: User, now: datetime) -> ExportRequest:
    """Asks for an archive; while one is being made, asking again gives that one."""
    with transaction.atomic():
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
        made, is_new = ExportRequest.objects.get_or_create(
            user=user, status=ExportRequest.Status.QUEUED, defaults={"next_attempt_at": now}
        )
        if is_new:
            after_commit("privacy.tasks.make_export", made.pk)
    return made


def retry(export_id: UUID, *, now: datetime) -> ExportRequest:
    """Has a failed archive made after all. Raises `InvalidState`, also where another one is being made."""
    export = ExportRequest.objects.get(pk=export_id)
    with transaction.atomic():
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=export.user_id)
        if ExportRequest.objects.filter(user=export.user_id, status=ExportRequest.Status.QUEUED).exists():
            raise InvalidState("Another archive of this person is being made.")
        export.move(ExportRequest.Status.QUEUED, progress=0, attempts=0, next_attempt_at=now)
        after_commit("privacy.tasks.make_export", export.pk)
    return export


def make_archive(export_id: UUID, *, now: datetime) -> ExportRequest | None:
    """Makes a queued archive and keeps it for three days, in the place of the one before.

    None if another worker is at it, it is not due, or the account was erased meanwhile. The claim pushes the next
    attempt ahead, so that a crash means one more try. Raises what the storage raises.
    """
    with transaction.atomic():
        due = ExportRequest.objects.filter(pk=export_id, status=ExportRequest.Status.QUEUED, next_attempt_at__lte=now)
        export = due.select_for_update(of=("self",), skip_locked=True).first()
        if export is None:
            return None
        export.attempts += 1
        export.next_attempt_at = now + timedelta(minutes=2**export.attempts)
        export.save(update_fields=["attempts", "next_attempt_at", "updated_at"])
        if export.attempts > MAX_ATTEMPTS:
            return export.move(ExportRequest.Status.FAILED)
    mine: QuerySet[ExportRequest] = ExportRequest.objects.filter(pk=export.pk)
    data = everything_about(export.user, now=now, told=lambda per_cent: mine.update(progress=per_cent))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("juniro.json", orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
        for each in data["attachments"]:
            name = file_name(each["id"], each["contentType"])
            with default_storage.open(name) as attachment:
                files.writestr(name, attachment.read())
    name = default_storage.save(archive_name(export.pk), ContentFile(archive.getvalue()))
    try:
        export.move(ExportRequest.Status.READY, progress=100, file=name, expires_at=now + KEPT_FOR)
    except InvalidState:
        # The account was erased meanwhile; or a second worker was quicker, and the file is that one's.
        if not mine.filter(status=ExportRequest.Status.READY).exists():
            default_storage.delete(name)
        return None
    expire(ExportRequest.objects.filter(user=export.user_id).exclude(pk=export.pk))
    return export


def archive_name(export_id: UUID) -> str:
    return f"exports/{export_id}.zip"


def expire_archives(*, now: datetime) -> int:
    """Deletes archives whose time is over; returns how many."""
    return expire(ExportRequest.objects.filter(expires_at__lte=now))


def expire(archives: QuerySet[ExportRequest]) -> int:
    """Deletes the files of those that are ready. A file that the storage does not let go is tried again later."""
    expired = 0
    for export in archives.filter(status=ExportRequest.Status.READY)[:200]:
        try:
            default_storage.delete(export.file)
            export.move(ExportRequest.Status.EXPIRED, file="")
        except (OSError, InvalidState) as error:
            log.warning("archive not deleted yet", export=str(export.pk), kind=type(error).__name__)
            continue
        expired += 1
    return expired
