"""Who is told what about a booking. Call it in the transaction of the fact."""

from datetime import datetime
from uuid import UUID

from bookings.models import Booking
from notifications.models import Notification, NotificationKind
from notifications.services import notify
from providers.models import ProviderUser, StaffRole
from users.models import User


def tell_parent(
    booking: Booking, kind: NotificationKind, *, now: datetime, subject_id: UUID | None = None, occasion: str = ""
) -> None:
    """Tells the parent of `booking` about it, or about the session `subject_id`."""
    parents = User.objects.filter(parent=booking.parent_id).values_list("pk", flat=True)
    notify(parents, kind=kind, subject_id=subject_id or booking.pk, now=now, occasion=occasion)


def tell_staff(booking: Booking, kind: NotificationKind, *, now: datetime, occasion: str = "") -> None:
    """Tells those who run the provider's account."""
    staff = ProviderUser.objects.filter(
        provider_account__activities__sessions=booking.session_id, role__in=[StaffRole.OWNER, StaffRole.ADMIN]
    )
    user_ids = staff.values_list("user_id", flat=True)
    notify(user_ids, kind=kind, subject_id=booking.pk, now=now, occasion=occasion)


def tell_confirmed(booking: Booking, *, now: datetime) -> None:
    """Tells the parent that the seats are theirs, and the provider of a new booking."""
    tell_parent(booking, Notification.Kind.BOOKING_CONFIRMED, now=now)
    tell_staff(booking, Notification.Kind.BOOKING_RECEIVED, now=now)


def tell_moved(booking: Booking, *, now: datetime) -> None:
    """Tells both sides that the parent moved the booking; of a hold the provider has not heard yet."""
    kind, occasion = Notification.Kind.BOOKING_RESCHEDULED, now.isoformat()
    tell_parent(booking, kind, now=now, occasion=occasion)
    if booking.status == Booking.Status.CONFIRMED:
        tell_staff(booking, kind, now=now, occasion=occasion)


def tell_cancelled(booking: Booking, *, now: datetime) -> None:
    """Tells both sides that a confirmed booking is over."""
    tell_parent(booking, Notification.Kind.BOOKING_CANCELLED, now=now)
    tell_staff(booking, Notification.Kind.BOOKING_CANCELLED, now=now)
