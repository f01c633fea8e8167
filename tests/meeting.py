"""Two at once, brought to the worst moment: the first has looked and not yet written when the second comes."""

import threading
import time

from django.db import connection, connections
from django.db.models import QuerySet

from bookings import places

PATIENCE = 10


def unlock(monkeypatch):
    """Takes FOR UPDATE out of every statement."""
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    monkeypatch.setattr(places, "LOCK", "")


class Meeting:
    """Runs two things at once. The first stops at the first of `pauses`, until the second is through or waits for it.

    `pauses` are functions by their owner and name, called between the look and the write.
    """

    def __init__(self, monkeypatch, *pauses):
        self.first_has_looked, self.second_is_through = threading.Event(), threading.Event()
        self.first = 0
        for owner, name in pauses:
            monkeypatch.setattr(owner, name, self.pausing(getattr(owner, name)))

    def pausing(self, write):
        def paused(*args, **kwargs):
            if threading.get_ident() == self.first and not self.first_has_looked.is_set():
                self.first_has_looked.set()
                self.wait_for_the_second()
            return write(*args, **kwargs)

        return paused

    def wait_for_the_second(self):
        """Until it has done all that it can do while the first one stands here."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.second_is_through.wait(0.02) or self.somebody_waits_for_the_first():
                return
        raise AssertionError("the second one neither ended nor waited")

    def somebody_waits_for_the_first(self):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            return cursor.fetchone()[0]

    def of(self, first, second):
        """What each of the two gave: a result or an exception."""
        given = {}

        def run(name, function):
            try:
                given[name] = function()
            except Exception as error:  # the test looks at it
                given[name] = error
            finally:
                connections.close_all()

        def run_first():
            self.first = threading.get_ident()
            run("first", first)
            self.first_has_looked.set()

        def run_second():
            self.first_has_looked.wait(PATIENCE)
            run("second", second)
            self.second_is_through.set()

        threads = [threading.Thread(target=each) for each in (run_first, run_second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE * 2)
        return given["first"], given["second"]
