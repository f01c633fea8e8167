"""What goes when an account ends, table by table. Bookings, payments and refunds stay, and tell of nobody any more."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.core.files.storage import default_storage
from django.db.models import F, Q, QuerySet
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from bookings import reviews
from bookings.models import Booking, CalendarFeed, Review, ReviewReport
from core.models import IdempotencyKey
from marketplace import images
from marketplace.models import Activity, ActivityImage, Offering, ParentInterest, Session
from messaging import attachments
from messaging.models import Attachment, Conversation, Message, MessageReport
from notifications.models import Bounce, Notification, NotificationPreference
from payments.models import Payment, Refund, RefundRequest, WebhookEvent
from privacy.export import archive_name
from privacy.models import ExportRequest
from providers.models import Invitation, Location, ProviderAccount, ProviderUser, StaffRole
from users.models import Child, Parent, User

GONE = "erased"


def scrub(user: User, *, now: datetime) -> None:
    """Removes every personal detail of `user` from this region's database. Twice does no harm."""
    parents = Parent.objects.filter(user=user)
    children = Child.objects.filter(parent__user=user)
    bookings = Booking.objects.filter(parent__user=user)
    written = Review.objects.filter(parent__user=user)
    conversations = Conversation.objects.filter(parent__user=user)
    payments = Payment.objects.filter(booking__in=bookings)
    refunds = Refund.objects.filter(payment__in=payments)
    requests = RefundRequest.objects.filter(payment__in=payments)
    forget_log([User.objects.filter(pk=user.pk), parents, children, written, conversations])
    forget_log([bookings, payments, refunds, requests])
    parents.update(first_name="", last_name="", phone="")
    ParentInterest.objects.filter(parent__user=user).delete()
    children.filter(bookings=None).delete()
    children.update(first_name="", last_name="", birth_date=None, removed_at=now)
    bookings.update(cancellation_reason="")
    payments.update(checkout_url="", review_note="")
    requests.update(reason=GONE)
    requests.exclude(decision="").update(decision=GONE)
    refunds.update(reason="The booking was cancelled.")
    WebhookEvent.objects.filter(payment__in=payments).update(payload={})
    for review in written.exclude(Q(comment=None) & Q(response=None)):
        review.comment = review.response = review.responded_at = None
        review.save(update_fields=["comment", "response", "responded_at", "updated_at"])
        reviews.note_rating(review)
    written.exclude(hidden_reason="").update(hidden_reason=GONE)
    ReviewReport.objects.filter(Q(reporter=user) | Q(review__in=written)).update(reason=GONE)
    # The whole thread is about this person, whoever wrote which half; and it ends here.
    Message.objects.filter(conversation__in=conversations).update(content="", attachments=None)
    attachments_of(user).delete()
    conversations.update(subject=None, status=Conversation.Status.BLOCKED, blocked_by=Conversation.Side.PARENT)
    about_them = Q(reporter=user) | Q(message__conversation__in=conversations)
    MessageReport.objects.filter(about_them).update(reason=GONE, resolution="")
    for rows in (Notification, NotificationPreference, Bounce, CalendarFeed):
        rows.objects.filter(user=user).delete()  # type: ignore[attr-defined]
    end_archives(user)
    for device in (TOTPDevice, StaticDevice):
        device.objects.filter(user=user).delete()
    if user.email:
        Invitation.objects.filter(email__iexact=user.email).delete()
    # The other side's answers, too, repeat what was written.
    threads = [f"/v1/conversations/{pk}/messages" for pk in conversations.values_list("pk", flat=True)]
    IdempotencyKey.objects.filter(Q(user_id=user.pk) | Q(path__in=threads)).delete()
    ProviderUser.objects.filter(user=user).delete()
    user.groups.clear()
    user.user_permissions.clear()
    user.email, user.country, user.last_seen_at, user.last_login = "", None, None, None
    user.is_staff = user.is_superuser = False
    user.save()


def forget_log(rows: list[QuerySet[Any]]) -> None:
    """What the admin's history says of these rows: reasons that ops typed, and names."""
    ids = [str(pk) for each in rows for pk in each.values_list("pk", flat=True)]
    LogEntry.objects.filter(object_id__in=ids).update(object_repr=GONE, change_message="")


# --- Businesses ------------------------------------------------------------------------------------------------------


def owned_alone(user: User) -> list[ProviderAccount]:
    """The provider accounts whose only owner is `user`."""
    owners = ProviderUser.objects.filter(role=StaffRole.OWNER)
    others = owners.exclude(user=user).values("provider_account")
    mine = owners.filter(user=user).exclude(provider_account__in=others).values("provider_account")
    return list(ProviderAccount.objects.filter(pk__in=mine))


def close_businesses(user: User) -> list[str]:
    """Ends the businesses that were `user`'s alone, and leaves the others.

    Answers the slugs that named a person and are to be free again.
    """
    slugs = []
    for account in owned_alone(user):
        Activity.objects.filter(provider=account).exclude(status=Activity.Status.ARCHIVED).update(
            status=Activity.Status.ARCHIVED
        )
        if account.status == ProviderAccount.Status.VERIFIED:
            account.move(ProviderAccount.Status.SUSPENDED, status_reason="Closed by its owner.")
        if account.type == ProviderAccount.Type.INDIVIDUAL:
            slugs.append(account.slug)
            scrub_individual(account)
        changes = {"email": "", "phone": "", "website": "", "description": ""}
        ProviderAccount.objects.filter(pk=account.pk).update(**changes)
        account.invitations.all().delete()
    return slugs


def scrub_individual(account: ProviderAccount) -> None:
    """Somebody who works alone is a person: what they called themselves and wrote, and where they live, goes.

    Families keep in their bookings what kind of activity it was, and when.
    """
    places = Location.objects.filter(provider=account)
    activities = Activity.objects.filter(provider=account)
    offerings = Offering.objects.filter(activity__provider=account)
    forget_log([ProviderAccount.objects.filter(pk=account.pk), places, activities, offerings])
    closed = f"closed-{account.pk.hex}"
    ProviderAccount.objects.filter(pk=account.pk).update(business_name="Closed provider", slug=closed)
    places.update(name="Closed place", address="", latitude=None, longitude=None)
    offerings.update(name=None)
    for activity in activities.select_related("category"):
        activity.title, activity.slug = activity.category.name[:200], f"closed-{activity.pk.hex}"
        activity.summary = activity.description = activity.image_url = ""
        activity.save(update_fields=["title", "slug", "summary", "description", "image_url", "updated_at"])
    ActivityImage.objects.filter(activity__provider=account).delete()
    Session.objects.filter(activity__provider=account).update(cancellation_reason="")
    Review.objects.filter(booking__session__activity__provider=account).update(response=None, responded_at=None)
    theirs = Message.objects.filter(conversation__provider=account, sender_type=Conversation.Side.PROVIDER)
    theirs.update(content="", attachments=None)
    attachments_by(account.pk).delete()


# --- Files -----------------------------------------------------------------------------------------------------------


def delete_files(user: User) -> None:
    """Deletes what `user` has in the storage. Raises what the storage raises, for the next try to go on."""
    alone = [each.pk for each in owned_alone(user) if each.type == ProviderAccount.Type.INDIVIDUAL]
    for rows in (attachments_of(user), *(attachments_by(pk) for pk in alone)):
        attachments.delete_files(rows.values_list("pk", flat=True))
    # By name, not by what the row says: a worker may be writing the file.
    for pk in ExportRequest.objects.filter(user=user).values_list("pk", flat=True):
        default_storage.delete(archive_name(pk))
    images.delete_files(ActivityImage.objects.filter(activity__provider__in=alone).values_list("pk", flat=True))


def attachments_of(user: User) -> QuerySet[Attachment]:
    """The files of the user's conversations, and those that they uploaded elsewhere and did not send."""
    return Attachment.objects.filter(Q(conversation__parent__user=user) | Q(uploader=user, message=None))


def attachments_by(account_id: UUID) -> QuerySet[Attachment]:
    """The files that a provider's staff uploaded."""
    by_parent = Q(uploader=F("conversation__parent__user"))
    return Attachment.objects.filter(~by_parent, conversation__provider=account_id)


def end_archives(user: User) -> None:
    """No archive can be fetched or finished any more. The rows stay until their files are known to be gone."""
    archives = ExportRequest.objects.filter(user=user)
    archives.filter(status=ExportRequest.Status.QUEUED).update(status=ExportRequest.Status.FAILED)
    archives.filter(status=ExportRequest.Status.READY).update(status=ExportRequest.Status.EXPIRED, file="")


def forget_archives(user: User) -> None:
    ExportRequest.objects.filter(user=user).delete()
