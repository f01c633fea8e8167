"""The end of an account: what is in flight is settled first, then every trace of the person goes, and the books stay.

The door closes first: from then on no token opens the account. Then come bookings, files and rows
(`privacy.scrubbing`), and in the end what is done elsewhere: the Supabase user, the receipt by mail, a slug of the
global layer. Each step may be repeated, and may be cut short by a crash; a sweep goes on from what the request says.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from bookings.models import Booking, Seat
from core import audit
from core.dispatch import after_commit
from core.errors import Error, InvalidState
from payments.cancellations import cancel_booking
from payments.models import Payment, Refund, RefundRequest
from privacy.models import ErasureRequest
from privacy.receipts import send_receipt
from privacy.scrubbing import GONE, close_businesses, delete_files, forget_archives, owned_alone, scrub
from privacy.traces import traces_of
from providers.models import ProviderAccount
from providers.staff import LastOwner
from regions.services import free_slug
from users import supabase
from users.models import AccountTombstone, User

log = structlog.get_logger("juniro.privacy")

# A request that was under way while we erased is over by then, and whatever it still wrote is erased as well.
SECOND_LOOK = timedelta(minutes=5)
# A worker that has not come back by then is dead. Longer than Supabase and the global database may take together.
LEASE = timedelta(minutes=2)


class OpenBalance(Error):
    status, code, message = 409, "OPEN_BALANCE", "Money is on its way. Delete the account once it has arrived."


# --- Asking for it ---------------------------------------------------------------------------------------------------


def request_erasure(*, user: User, now: datetime) -> ErasureRequest:
    """Asks for the end of `user`'s account, `ERASURE_GRACE_DAYS` from now. Asking twice gives the same request.

    Without a grace period the account cannot be used any more once this returns, whatever becomes of the next steps.
    Raises `OpenBalance` while money is in flight, or other families hold seats with a business that would end with it;
    `LastOwner` where a business that has other staff would be left without one.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
        found = ErasureRequest.objects.open().filter(user=user).first()
        if found:
            return found
        refuse_open(user, now=now)
        made = ErasureRequest.objects.create(
            user=user, auth_id=user.auth_id or "", next_step_at=now + timedelta(days=settings.ERASURE_GRACE_DAYS)
        )
        if made.next_step_at <= now:
            close_door(user, now=now)
        after_commit("privacy.tasks.erase", made.pk)
    return made


def cancel_request(*, user: User) -> ErasureRequest:
    """Keeps the account after all. Raises `InvalidState` where nothing was asked for, or it has begun."""
    with transaction.atomic():
        user = User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)
        found = ErasureRequest.objects.select_for_update().filter(user=user, status=GRACE).first()
        if found is None or is_closed(user):
            raise InvalidState("No deletion of this account is under way.")
        return found.move(ErasureRequest.Status.CANCELLED, auth_id="")


GRACE = ErasureRequest.Status.REQUESTED


def hurry(request_id: UUID, *, now: datetime) -> None:
    """Has the next try of what failed be now. Raises `InvalidState` where nothing did."""
    stuck = ErasureRequest.objects.open().filter(pk=request_id).exclude(error="")
    if not stuck.update(next_step_at=now, updated_at=now):
        raise InvalidState("Nothing of this erasure waits to be tried again.")
    after_commit("privacy.tasks.erase", request_id)


def refuse_open(user: User, *, now: datetime) -> None:
    """Raises `OpenBalance` or `LastOwner` while others would lose money, seats or their business with the account."""
    mine = Q(booking__parent__user=user)
    open_checkout = Q(status__in=[Payment.Status.CREATED, Payment.Status.PENDING], booking__status="pending_payment")
    if Payment.objects.filter(mine & (open_checkout | Q(needs_review=True))).exists():
        raise OpenBalance
    on_the_way = Refund.objects.filter(status__in=[Refund.Status.PENDING, Refund.Status.SENT])
    if on_the_way.filter(payment__booking__parent__user=user).exists():
        raise OpenBalance("A refund is on its way. Delete the account once it has arrived.")
    waiting = RefundRequest.objects.filter(status=RefundRequest.Status.WAITING)
    if waiting.filter(payment__booking__parent__user=user).exists():
        raise OpenBalance("A refund waits for approval. Delete the account once it is decided.")
    for account in owned_alone(user):
        if account.staff.exclude(user=user).exists():
            raise LastOwner("Hand over the ownership of your business first.")
        upcoming = Seat.objects.held().filter(session__activity__provider=account, session__ends_at__gt=now)
        if upcoming.exists():
            raise OpenBalance("Families hold seats in your sessions. Cancel the sessions first, or hand them over.")


# --- Doing it --------------------------------------------------------------------------------------------------------


def go_on(request_id: UUID, *, now: datetime) -> None:
    """Takes the next step. What fails is noted on the request and tried again, after a longer pause each time."""
    try:
        take_next_step(request_id, now=now)
    except Exception as error:
        put_off(request_id, error, now=now)


def take_next_step(request_id: UUID, *, now: datetime) -> ErasureRequest | None:
    """Erases what is due, or does what is left to do elsewhere. None if another worker is at it, or nothing is due.

    Raises `OpenBalance`, `LastOwner` where the grace period brought what would have been refused before it, and what
    the storage raises.
    """
    request = ErasureRequest.objects.due(now=now).select_related("user").filter(pk=request_id).first()
    if request is None:
        return None
    if request.status == ErasureRequest.Status.REQUESTED:
        with transaction.atomic():
            user = User.objects.select_for_update(of=("self",), no_key=True).get(pk=request.user_id)
            if not ErasureRequest.objects.filter(pk=request.pk, status=GRACE).exists():
                return None
            if not is_closed(user):
                refuse_open(user, now=now)
                close_door(user, now=now)
        cancel_bookings(user, now=now)
        # Before the rows that name them: after a crash they are still found.
        delete_files(user)
        if erase(request_id, now=now) is None:
            return None
    return finish(request_id, now=now)


def is_closed(user: User) -> bool:
    return user.auth_id == f"{GONE}:{user.pk}"


def close_door(user: User, *, now: datetime) -> None:
    """No token and no password opens the account any more, and it cannot be made anew."""
    if user.auth_id:
        AccountTombstone.bury(user.auth_id, now=now)
    user.auth_id, user.is_active = f"{GONE}:{user.pk}", False
    user.set_unusable_password()
    user.save(update_fields=["auth_id", "is_active", "password", "updated_at"])


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
    """The erasure itself, all or nothing. None if another worker was quicker.

    What must still be told elsewhere (the address for the receipt, slugs of the global layer) moves to the request.
    """
    with transaction.atomic():
        request = (
            ErasureRequest.objects.due(now=now)
            .select_for_update(of=("self",), skip_locked=True)
            .filter(pk=request_id, status=ErasureRequest.Status.REQUESTED)
            .first()
        )
        if request is None:
            return None
        # NO KEY: who holds one of their bookings may still have to tell them of it, with a row that points at them.
        user = User.objects.select_for_update(no_key=True).get(pk=request.user_id)
        traces = list(traces_of(user))
        receipt_to, slugs = user.email, close_businesses(user)
        scrub(user, now=now)
        # After all that the erasure itself has changed.
        audit.forget(traces, actor=user.pk)
        request.move(
            ErasureRequest.Status.ERASED,
            erased_at=now,
            next_step_at=now,
            receipt_to=receipt_to,
            receipt_due_at=now if receipt_to else None,
            slugs=slugs,
            error="",
        )
    log.info("account erased", request=str(request.pk))
    return request


# --- What is left to do elsewhere -----------------------------------------------------------------------------------


def finish(request_id: UUID, *, now: datetime) -> ErasureRequest | None:
    """Does what is left to do elsewhere, and looks a second time for what a request under way wrote meanwhile.

    None if another worker is at it. What is out of reach stays on the request, for a later try.
    """
    send_receipt(request_id, now=now)
    with transaction.atomic():
        due = ErasureRequest.objects.due(now=now).filter(pk=request_id, status=ErasureRequest.Status.ERASED)
        request = due.select_for_update(of=("self",), skip_locked=True).first()
        if request is None:
            return None
        request.attempts += 1
        request.next_step_at = now + LEASE
        request.save(update_fields=["attempts", "next_step_at", "updated_at"])
    second_look_at = (request.erased_at or now) + SECOND_LOOK
    missed = " ".join(attempt(errand, request, now) for errand in (delete_auth_user, free_slugs)).strip()
    if missed:
        request.error, request.next_step_at = missed[:200], now + pause(request.attempts)
    elif now < second_look_at:
        request.error, request.next_step_at = "", second_look_at
    elif request.receipt_due_at:
        request.error, request.next_step_at = "", request.receipt_due_at
    else:
        cancel_bookings(request.user, now=now)
        delete_files(request.user)
        with transaction.atomic():
            scrub(request.user, now=now)
            audit.forget(traces_of(request.user), actor=request.user_id)
            forget_archives(request.user)
            return request.move(ErasureRequest.Status.DONE, completed_at=now, error="")
    request.save(update_fields=["error", "next_step_at", "updated_at"])
    return request


def attempt(errand: Callable[..., None], request: ErasureRequest, now: datetime) -> str:
    """Runs one errand; says in a few words what went wrong, empty if nothing did."""
    try:
        errand(request, now=now)
    except Error as error:
        log.warning("erasure not finished yet", request=str(request.pk), errand=errand.__name__, kind=kind_of(error))
        return f"{errand.__name__}: {kind_of(error)}."
    return ""


def delete_auth_user(request: ErasureRequest, *, now: datetime) -> None:
    if request.auth_id:
        supabase.delete_user(request.auth_id)
        request.auth_id, request.auth_deleted_at = "", now
        request.save(update_fields=["auth_id", "auth_deleted_at", "updated_at"])


def free_slugs(request: ErasureRequest, *, now: datetime) -> None:
    """Gives back the slugs that named a person, in both regions."""
    for slug in request.slugs:
        # After a crash here somebody may have it by now.
        if not ProviderAccount.objects.filter(slug=slug).exists():
            free_slug(slug)
    if request.slugs:
        request.slugs = []
        request.save(update_fields=["slugs", "updated_at"])


def put_off(request_id: UUID, error: Exception, *, now: datetime) -> None:
    request = ErasureRequest.objects.open().filter(pk=request_id).first()
    if request is None:
        return
    log.error("erasure does not get on", request=str(request_id), kind=kind_of(error), exc_info=error)
    ErasureRequest.objects.filter(pk=request_id, status=request.status).update(
        attempts=request.attempts + 1,
        next_step_at=now + pause(request.attempts + 1),
        error=f"{kind_of(error)}."[:200],
        updated_at=now,
    )


def kind_of(error: Exception) -> str:
    """Its words only where they are ours: those of others may repeat an address."""
    return f"{type(error).__name__}: {error.message.rstrip('.')}" if isinstance(error, Error) else type(error).__name__


def pause(attempts: int) -> timedelta:
    """One minute, two, four … up to six hours."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 9)), timedelta(hours=6))
