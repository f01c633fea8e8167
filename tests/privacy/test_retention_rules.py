"""What is kept for how long: one table, carried out by beat, shown in the admin."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry

from bookings.models import RosterView
from core.classification import classified_models, personal_columns
from juniro.celery import app
from notifications.models import Bounce
from privacy import retention
from privacy.models import ExportRequest
from tests.factories import SessionFactory, UserFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def test_every_table_with_personal_columns_has_a_rule():
    named = {".".join(each.split(".")[:2]) for rule in retention.RULES for each in rule.columns.split()}
    # Counted in Redis: these have no tables.
    personal = {each._meta.label for each in classified_models() if personal_columns(each)}
    personal -= {label for label in personal if label.startswith("axes.")}
    assert personal - named == set()


@pytest.mark.parametrize("rule", retention.RULES, ids=lambda rule: rule.what)
def test_a_rule_is_true(rule):
    for name in rule.columns.split():
        model = apps.get_model(*name.split(".")[:2])
        for column in name.split(".")[2:]:
            model._meta.get_field(column)
    assert bool(rule.setting) != bool(rule.kept)
    if rule.setting:
        assert getattr(settings, rule.setting) > 0
    if rule.task:
        assert rule.task in {entry["task"] for entry in app.conf.beat_schedule.values()}
    if rule.rows:
        assert rule.task == retention.PURGE
        apps.get_model(rule.columns)._meta.get_field(rule.rows)


@pytest.fixture
def rows(now):
    """One row of each swept table that is a day too old, and one that is a day too young."""
    user, session = UserFactory(), SessionFactory()
    for days in (366, 364):
        at = now - days * DAY
        RosterView.objects.create(user=user, session=session, format="json", children=1, request_id="r", created_at=at)
        ExportRequest.objects.create(user=user, status="failed", next_attempt_at=at, created_at=at)
        Bounce.objects.create(user=user, email_sha256=str(days), reason="hard_bounce", happened_at=at)
    for days in (731, 729):
        entry = LogEntry.objects.create(user=user, action_flag=2, object_repr="x")
        LogEntry.objects.filter(pk=entry.pk).update(action_time=now - days * DAY)


SWEPT = {"bookings.RosterView": 1, "privacy.ExportRequest": 1, "notifications.Bounce": 1, "admin.LogEntry": 1}


def test_what_is_a_day_too_old_goes_and_what_is_a_day_younger_stays(rows, now):
    assert retention.purge(now=now) == SWEPT
    for label in SWEPT:
        assert apps.get_model(label).objects.count() == 1, label
    assert retention.purge(now=now) == dict.fromkeys(SWEPT, 0)


def test_a_sweep_takes_no_more_than_a_batch(rows, now):
    later = now + 10 * DAY
    assert retention.purge(now=later, batch=1) == SWEPT
    assert retention.purge(now=later, batch=1) == SWEPT
    assert retention.purge(now=later, batch=1) == dict.fromkeys(SWEPT, 0)


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_delete_each_row_once(rows, now, at_once):
    deleted = at_once(lambda _: retention.purge(now=now), [1, 2, 3])
    assert [sum(each[label] for each in deleted) for label in SWEPT] == [1, 1, 1, 1]
