"""Tasks are sent after commit, by name and with ids only, and a broker that is down stops nobody."""

import uuid

import pytest
from celery import current_app
from django.db import transaction

from core.dispatch import after_commit
from tests.conftest import free_port

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_task_is_sent_when_the_transaction_has_committed(tasks):
    number = uuid.uuid4()
    with transaction.atomic():
        after_commit("payments.tasks.send_refunds", number)
        assert tasks == []
    assert tasks == [("payments.tasks.send_refunds", (str(number),))]


def test_nothing_is_sent_for_what_was_rolled_back(tasks):
    with transaction.atomic():
        after_commit("payments.tasks.send_refunds", 1)
        transaction.set_rollback(True)
    assert tasks == []


def test_a_broker_that_is_down_costs_a_delay_and_no_error(monkeypatch):
    monkeypatch.undo()  # the real send_task
    monkeypatch.setitem(current_app.conf, "broker_write_url", f"redis://127.0.0.1:{free_port()}/0")
    current_app.pool.force_close_all()
    done = []
    with transaction.atomic():
        after_commit("payments.tasks.send_refunds")
        transaction.on_commit(lambda: done.append(True))
    assert done == [True]
