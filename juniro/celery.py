"""The Celery app and what its beat does when.

Sweeps keep time, not ETAs: a sweep that is late or runs twice does no harm.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "juniro.settings")

app = Celery("juniro", task_cls="core.acting:AuditedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

app.conf.beat_schedule = {
    "expire holds": {"task": "payments.tasks.expire_holds", "schedule": 15.0},
    "finish cancelled sessions": {"task": "payments.tasks.finish_cancelled_sessions", "schedule": 30.0},
    "send refunds": {"task": "payments.tasks.send_refunds", "schedule": 30.0},
    "replay failed events": {"task": "payments.tasks.replay_events", "schedule": 60.0},
    "fetch events that never came": {"task": "payments.tasks.reconcile_events", "schedule": 60.0},
    "look up unpaid payments": {"task": "payments.tasks.reconcile_payments", "schedule": 60.0},
    "look up unconfirmed refunds": {"task": "payments.tasks.reconcile_refunds", "schedule": 900.0},
    "follow sessions and seats in search": {"task": "marketplace.tasks.catch_up", "schedule": 3.0},
    "learn the catalogue's words": {"task": "marketplace.tasks.refresh_words", "schedule": 600.0},
    "check search rows for drift": {"task": "marketplace.tasks.check_drift", "schedule": 3600.0},
    "tell of holds that end": {"task": "bookings.tasks.tell_of_holds", "schedule": 30.0},
    "remind of sessions": {"task": "bookings.tasks.remind_of_sessions", "schedule": 300.0},
    "deliver notifications": {"task": "notifications.tasks.deliver_due", "schedule": 30.0},
    "purge payloads": {"task": "payments.tasks.purge_payloads", "schedule": 86400.0},
    "purge notifications": {"task": "notifications.tasks.purge", "schedule": 86400.0},
    "complete what has ended": {"task": "bookings.tasks.complete_ended", "schedule": 60.0},
    "push ratings": {"task": "bookings.tasks.push_ratings", "schedule": 60.0},
    "tidy images": {"task": "marketplace.tasks.tidy_images", "schedule": 86400.0},
    "tidy attachments": {"task": "messaging.tasks.tidy_attachments", "schedule": 86400.0},
    "send invitations": {"task": "providers.tasks.send_invitations", "schedule": 60.0},
    "settle slugs": {"task": "providers.tasks.settle_slugs", "schedule": 300.0},
    "purge invitations": {"task": "providers.tasks.purge_invitations", "schedule": 86400.0},
    "erase accounts": {"task": "privacy.tasks.erase_due", "schedule": 60.0},
    "make exports": {"task": "privacy.tasks.make_exports", "schedule": 60.0},
    "purge what is kept for a time": {"task": "privacy.tasks.purge", "schedule": 86400.0},
    "purge audit trail": {"task": "core.tasks.purge_audit_trail", "schedule": 86400.0},
    "purge sessions": {"task": "core.tasks.purge_sessions", "schedule": 86400.0},
    "purge idempotency keys": {"task": "core.tasks.purge_idempotency_keys", "schedule": 3600.0},
}
