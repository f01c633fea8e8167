"""The Celery app (`--app tests.notifications.hasty`) whose beat looks after bookings several times a second."""

from juniro.celery import app

AFTER_THE_BOOKING = ("deliver notifications", "remind of sessions", "complete what has ended", "push ratings")
app.conf.beat_schedule = {name: app.conf.beat_schedule[name] | {"schedule": 0.4} for name in AFTER_THE_BOOKING}
app.conf.beat_max_loop_interval = 0.2
