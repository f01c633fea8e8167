"""Sweeps and errands of bookings. Each is safe to run twice and in two workers at once."""

from uuid import UUID

from celery import shared_task

from bookings import reviews


@shared_task
def push_rating(activity_id: str) -> None:
    reviews.push_rating(UUID(activity_id))


@shared_task
def push_ratings() -> None:
    """Pushes averages whose own task was lost, or that the global layer could not take."""
    reviews.push_ratings()
