"""Sweeps and errands of bookings. Each is safe to run twice and in two workers at once."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from bookings import attendance, reminders, reviews


@shared_task
def complete_ended() -> None:
    """Completes sessions that have ended and settles bookings that are over, until none is left."""
    now = timezone.now()
    while attendance.complete_sessions(now=now):
        pass
    while attendance.settle_bookings(now=now):
        pass


@shared_task
def tell_of_holds() -> int:
    """Tells parents that their hold is about to end."""
    return reminders.tell_of_holds(now=timezone.now())


@shared_task
def remind_of_sessions() -> None:
    """Reminds parents of tomorrow's sessions, until nobody is left to remind."""
    now = timezone.now()
    for _ in range(100):
        if not reminders.remind_of_sessions(now=now):
            break


@shared_task
def push_rating(activity_id: str) -> None:
    reviews.push_rating(UUID(activity_id))


@shared_task
def push_ratings() -> None:
    """Pushes averages whose own task was lost, or that the global layer could not take."""
    reviews.push_ratings()
