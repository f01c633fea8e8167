"""One round trip for each hot read, and what happens when its connection died meanwhile."""

import pytest
from django.db import OperationalError, connection

from marketplace.reading import fetch

pytestmark = pytest.mark.django_db(transaction=True)
OWN = "SELECT pg_backend_pid()"


def test_a_dead_connection_is_replaced_and_the_statement_sent_again(at_once):
    [(pid,)] = fetch(OWN, {})
    at_once(lambda dying: fetch("SELECT pg_terminate_backend(%(pid)s::integer, 5000)", {"pid": dying}), [pid])
    [(other,)] = fetch(OWN, {})
    assert other != pid


def test_no_sign_of_life_is_asked_for(monkeypatch):
    fetch(OWN, {})
    connection.health_check_enabled, connection.health_check_done = True, False
    monkeypatch.setattr(connection, "is_usable", lambda: pytest.fail("asked"))
    fetch(OWN, {})


def test_a_statement_that_takes_too_long_is_not_tried_again():
    fetch("SELECT set_config('statement_timeout', '50ms', FALSE)", {})
    [(pid,)] = fetch(OWN, {})
    with pytest.raises(OperationalError, match="statement timeout"):
        fetch("SELECT pg_sleep(5)", {})
    assert fetch(OWN, {}) == [(pid,)]
    connection.close()
