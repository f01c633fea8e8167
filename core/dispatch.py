"""Sending tasks after commit.

A task only hurries up what a sweep would do anyway, so a broker that is down costs a delay.
"""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger("juniro.dispatch")


def after_commit(task: str, *ids: object) -> None:
    """Sends the task named `task` with `ids` once the open transaction has committed. Ids only, never PII.

    By name, since tasks import the services that send them.
    """

    def send() -> None:
        try:
            current_app.send_task(task, [str(each) for each in ids])
        except OperationalError:
            log.warning("broker out of reach, the sweep will do it", task=task)

    transaction.on_commit(send, robust=True)
