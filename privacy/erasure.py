"""The end of an account: what is in flight is settled first, then every trace of the person goes, and the books stay.

Each step may be repeated and may be cut short by a crash; a sweep goes on from what the request's row says. Bookings,
payments and refunds are kept without anything that tells whose they were.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Q

from bookings import reviews
from bookings.models import Booking, CalendarFeed, Review, ReviewReport, Seat
from core.dispatch import after_commit
from core.errors import Error, InvalidState, ServiceUnavailable
from core.models import IdempotencyKey
from marketplace.models import Activity, ParentInterest
from messaging.models import Conversation, Message, MessageReport
from notifications.models import Bounce, Notification, NotificationPreference
from payments.cancellations import cancel_booking
from payments.models import Payment, Refund, WebhookEvent
from privacy.models import ErasureRequest, ExportRequest
from privacy.receipts import send_receipt
from providers.models import Invitation, Location, ProviderAccount, ProviderUser, StaffRole
from providers.staff import LastOwner
from users import supabase
from users.models import AccountTombstone, Child, Parent, User

log = structlog.get_logger("juniro.privacy")

GONE = "erased"
# A request that was under way while we erased is over by then, and whatever it still wrote is erased as well.
SECOND_LOOK = timedelta(minutes=5)


class OpenBalance(Error):
    status, code, message = 409, "OPEN_BALANCE", "Money is on its way. Delete the account once it has arrived."


# --- Asking for it ---------------------------------------------------------------------------------------------------


def request_erasure(*, user: User, now: datetime) -> ErasureRequest:
    """Asks for the end of `user`'s account, `ERASURE_GRACE_DAYS` from now. Asking twice gives the same request.

    Raises `OpenBalance` while money is in flight, or other families hold seats with a business that would end with it;
    `LastOwner` where a business that has other staff would be left without one.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
        found = ErasureRequest.objects.open().filter(user=user).first()
        if found:
            return found
        refuse_open_money(user)
        refuse_open_business(user, now=now)
        made = ErasureRequest.objects.create(
            user=user, auth_id=user.auth_id or "", next_step_at=now + timedelta(days=settings.ERASURE_GRACE_DAYS)
        )
        after_commit("privacy.tasks.erase", made.pk)
    return made


def cancel_request(*, user: User) -> ErasureRequest:
    """Keeps the account after all. Raises `InvalidState` where nothing was asked for."""
    with transaction.atomic():
        found = ErasureRequest.objects.select_for_update().filter(user=user, status=GRACE).first()
        if found is None:
            raise InvalidState("No deletion of this account is under way.")
        return found.move(ErasureRequest.Status.CANCELLED, auth_id="")


GRACE = ErasureRequest.Status.REQUESTED


def refuse_open_money(user: User) -> None:
    mine = Q(booking__parent__user=user)
    open_checkout = Q(status__in=[Payment.Status.CREATED, Payment.Status.PENDING], booking__status="pending_payment")
    if Payment.objects.filter(mine & (open_checkout | Q(needs_review=True))).exists():
        raise OpenBalance
    on_the_way = Refund.objects.filter(status__in=[Refund.Status.PENDING, Refund.Status.SENT])
    if on_the_way.filter(payment__booking__parent__user=user).exists():
        raise OpenBalance("A refund is on its way. Delete the account once it has arrived.")


def refuse_open_business(user: User, *, now: datetime) -> None:
    for account in owned_alone(user):
        if account.staff.exclude(user=user).exists():
            raise LastOwner("Hand over the ownership of your business first.")
        upcoming = Seat.objects.held().filter(session__activity__provider=account, session__ends_at__gt=now)
        if upcoming.exists():
            raise OpenBalance("Families hold seats in your sessions. Cancel the sessions first, or hand them over.")


def owned_alone(user: User) -> list[ProviderAccount]:
    """The provider accounts whose only owner is `user`."""
    owners = ProviderUser.objects.filter(role=StaffRole.OWNER)
    others = owners.exclude(user=user).values("provider_account")
    mine = owners.filter(user=user).exclude(provider_account__in=others).values("provider_account")
    return list(ProviderAccount.objects.filter(pk__in=mine))


# --- Doing it --------------------------------------------------------------------------------------------------------


def take_next_step(request_id: UUID, *, now: datetime) -> ErasureRequest | None:
    """Erases what is due, or finishes with Supabase. None if another worker is at it, or nothing is due."""
    request = ErasureRequest.objects.due(now=now).filter(pk=request_id).first()
    if request is None:
        return None
    if request.status == ErasureRequest.Status.REQUESTED:
        cancel_bookings(request.user, now=now)
        # Before the rows that name them: after a crash they are still found.
        delete_files(request.user)
        if erase(request_id, now=now) is None:
            return None
    return finish(request_id, now=now)


def cancel_bookings(user: User, *, now: datetime) -> None:
    """Cancels what lies ahead, each booking in a transaction of its own, with the refund that its window allows."""
    live = [Booking.Status.PENDING_PAYMENT, Booking.Status.CONFIRMED]
    for pk in Booking.objects.filter(parent__user=user, status__in=live).order_by("pk").values_list("pk", flat=True):
        try:
            cancel_booking(booking_id=pk, now=now)
        except InvalidState:
            # It has begun, or is over by now: there is nothing to give back, and the books keep it.
            continue


def erase(request_id: UUID, *, now: datetime) -> ErasureRequest | None:
    """The erasure itself, all or nothing. None if another worker was quicker."""
    with transaction.atomic():
        request = (
            ErasureRequest.objects.due(now=now)
            .select_for_update(of=("self",), skip_locked=True)
            .filter(pk=request_id, status=ErasureRequest.Status.REQUESTED)
            .first()
        )
        if request is None:
            return None
        user = User.objects.select_for_update().get(pk=request.user_id)
        if user.auth_id:
            AccountTombstone.bury(user.auth_id, now=now)
        close_businesses(user)
        scrub(user, now=now)
        receipt_to = user.email
        user.auth_id, user.email = f"{GONE}:{user.pk}", ""
        user.is_active, user.country, user.last_seen_at = False, None, None
        user.set_unusable_password()
        user.save()
        request.move(
            ErasureRequest.Status.ERASED,
            erased_at=now,
            next_step_at=now,
            receipt_to=receipt_to,
            receipt_due_at=now if receipt_to else None,
        )
    log.info("account erased", request=str(request.pk))
    return request


def finish(request_id: UUID, *, now: datetime) -> ErasureRequest:
    """Sends the receipt and deletes the Supabase user, and looks a second time for what a request under way may have
    written meanwhile.
    """
    send_receipt(request_id, now=now)
    request = ErasureRequest.objects.get(pk=request_id)
    if request.status != ErasureRequest.Status.ERASED:
        return request
    if request.auth_id and request.auth_deleted_at is None:
        try:
            supabase.delete_user(request.auth_id)
        except ServiceUnavailable as error:
            attempts = request.attempts + 1
            ErasureRequest.objects.filter(pk=request.pk).update(
                attempts=attempts,
                next_step_at=now + min(timedelta(minutes=2**attempts), timedelta(hours=6)),
                error=error.message[:200],
                updated_at=now,
            )
            log.warning("supabase user not deleted yet", request=str(request.pk), attempts=attempts)
            return request
        ErasureRequest.objects.filter(pk=request.pk).update(auth_deleted_at=now, error="", updated_at=now)
    if request.erased_at and now < request.erased_at + SECOND_LOOK:
        ErasureRequest.objects.filter(pk=request.pk).update(next_step_at=request.erased_at + SECOND_LOOK)
        return request
    if request.receipt_due_at:
        ErasureRequest.objects.filter(pk=request.pk).update(next_step_at=request.receipt_due_at)
        return request
    delete_files(request.user)
    with transaction.atomic():
        scrub(request.user, now=now)
        request.move(ErasureRequest.Status.DONE, auth_id="", completed_at=now)
    return request


def close_businesses(user: User) -> None:
    """Ends the businesses that were `user`'s alone, and leaves the others."""
    for account in owned_alone(user):
        Activity.objects.filter(provider=account).exclude(status=Activity.Status.ARCHIVED).update(
            status=Activity.Status.ARCHIVED
        )
        if account.status == ProviderAccount.Status.VERIFIED:
            account.move(ProviderAccount.Status.SUSPENDED, status_reason="Closed by its owner.")
        changes = {"email": "", "phone": "", "website": "", "description": ""}
        if account.type == ProviderAccount.Type.INDIVIDUAL:
            # The name and the places of somebody who works alone are their own.
            changes["business_name"] = "Closed provider"
            Location.objects.filter(provider=account).update(
                name="Closed place", address="", latitude=None, longitude=None
            )
        ProviderAccount.objects.filter(pk=account.pk).update(**changes)
        account.invitations.all().delete()
    ProviderUser.objects.filter(user=user).delete()


def scrub(user: User, *, now: datetime) -> None:
    """Removes every personal detail of `user` from this region's database."""
    parent = Parent.objects.get(user=user)
    bookings = Booking.objects.filter(parent=parent)
    conversations = Conversation.objects.filter(parent=parent)
    Parent.objects.filter(pk=parent.pk).update(first_name="", last_name="", phone="")
    ParentInterest.objects.filter(parent=parent).delete()
    Child.objects.filter(parent=parent, bookings=None).delete()
    Child.objects.filter(parent=parent).update(first_name="", last_name="", birth_date=None, removed_at=now)
    bookings.update(cancellation_reason="")
    Payment.objects.filter(booking__in=bookings).update(checkout_url="")
    Refund.objects.filter(payment__booking__in=bookings).update(reason="The booking was cancelled.")
    WebhookEvent.objects.filter(payment__booking__in=bookings).update(payload={})
    for review in Review.objects.filter(parent=parent).exclude(Q(comment=None) & Q(response=None)):
        review.comment = review.response = review.responded_at = None
        review.save(update_fields=["comment", "response", "responded_at", "updated_at"])
        reviews.note_rating(review)
    ReviewReport.objects.filter(reporter=user).update(reason=GONE)
    # The whole thread is about this person, whoever wrote which half.
    conversations.update(subject=None)
    Message.objects.filter(conversation__in=conversations).update(content="", attachments=None)
    about_them = Q(reporter=user) | Q(message__conversation__in=conversations)
    MessageReport.objects.filter(about_them).update(reason=GONE, resolution="")
    for rows in (Notification, NotificationPreference, Bounce, CalendarFeed, ExportRequest):
        rows.objects.filter(user=user).delete()  # type: ignore[attr-defined]
    if user.email:
        Invitation.objects.filter(email__iexact=user.email).delete()
    IdempotencyKey.objects.filter(user_id=user.pk).delete()


def delete_files(user: User) -> None:
    """Deletes what `user` has in the storage. Raises what the storage raises, for the next try to go on."""
    sent = Message.objects.filter(conversation__parent__user=user, attachments__isnull=False)
    for attachments in sent.values_list("attachments", flat=True):
        for each in attachments or []:
            default_storage.delete(each["name"])
    for name in ExportRequest.objects.filter(user=user).exclude(file="").values_list("file", flat=True):
        default_storage.delete(name)
