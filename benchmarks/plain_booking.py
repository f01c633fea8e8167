"""A booking as it is usually written with the ORM: the same rules and locks, one object after the other."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from bookings import services
from bookings.models import Booking, Seat
from marketplace.models import Session
from users.models import Child, Parent


def book(*, parent_id: UUID, child_id: UUID, session_id: UUID, now: datetime) -> Any:
    with transaction.atomic():
        parent = Parent.objects.get(pk=parent_id)
        child = Child.objects.select_for_update().get(pk=child_id, parent=parent)
        session = Session.objects.select_for_update().get(pk=session_id)
        activity, offering = session.activity, session.offering
        if session.location.city.country.region != settings.REGION:
            raise services.CrossRegionBooking
        if activity.status != "published" or not activity.category.is_active:
            raise services.SessionNotBookable
        if activity.provider.status != "verified" or offering.status != "active":
            raise services.SessionNotBookable
        if session.status != "scheduled" or session.starts_at <= now:
            raise services.SessionNotBookable
        if not activity.accepts_age(child.age_on(session.local_date())):
            raise services.AgeNotEligible
        if Seat.objects.filter(session=session, child=child, released_at=None).exists():
            raise services.AlreadyBooked
        if session.enrolled >= session.capacity:
            raise services.SessionFull
        booking = Booking.objects.create(
            session=session,
            offering=offering,
            parent=parent,
            child=child,
            amount_cents=offering.price_cents,
            currency=offering.currency,
            expires_at=now + timedelta(minutes=settings.BOOKING_HOLD_MINUTES),
            refundable_until=session.starts_at - timedelta(hours=offering.refund_window_hours),
        )
        Seat.objects.create(booking=booking, session=session, child=child)
        session.enrolled += 1
        session.save()
    return booking
