"""The front page: what waits for somebody, and how things go."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import caches
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, ReviewReport
from juniro import home, trends
from marketplace import tasks as marketplace_tasks
from marketplace import upkeep
from marketplace.models import SearchRow
from notifications.models import Notification
from payments.models import Refund, RefundRequest, WebhookEvent
from privacy.models import ErasureRequest, ExportRequest
from tests import factories as make
from tests.admin.conftest import signed_in
from tests.admin.rows import message, staff
from tests.admin.test_platform import out_of_reach

pytestmark = pytest.mark.django_db(databases=["default", "global"])
NEW_YORK = ZoneInfo("America/New_York")


def waiting(client) -> dict[str, tuple[int, str, bool]]:
    """What the page asks to be done: how many, how old, and whether that is too old."""
    found = client.get("/admin/").context["waiting"]
    return {each.title: (each.count, each.oldest.replace("\xa0", " "), each.is_late) for each in found}


def shown(client) -> dict[str, tuple[str, str, str]]:
    """The trends: title, number, and how it compares."""
    return {each.title: (each.total, each.change, each.verdict) for each in client.get("/admin/").context["trends"]}


def clock(days: int, hour: int = 12) -> datetime:
    """So many days before today, on the region's clock."""
    return datetime.combine(datetime.now(NEW_YORK).date() - timedelta(days=days), time(hour), NEW_YORK)


def confirmed(days: int, cents: int = 2000, **fields) -> Booking:
    return make.BookingFactory(status="confirmed", confirmed_at=clock(days), amount_cents=cents, **fields)


# --- What waits ----------------------------------------------------------------------------------------------------


def much_to_do() -> None:
    """Two providers to verify, and one of everything else."""
    late, soon = make.in_days(-3), make.in_days(-0.2)
    for submitted_at in (late, soon):
        make.ProviderAccountFactory(status="pending", verified_at=None, submitted_at=submitted_at)
    make.ProviderAccountFactory(status="pending", verified_at=None, submitted_at=None)
    make.PaymentFactory(needs_review=True, created_at=soon)
    paid = make.PaymentFactory(status="paid")
    Refund.objects.create(payment=paid, amount_cents=1, currency="USD", reason="late", status="failed", created_at=late)
    RefundRequest.objects.create(
        payment=paid, amount_cents=1, currency="USD", reason="late", needs_approval=True, requested_by=staff()
    )
    WebhookEvent.objects.create(
        processor="stripe", event_id="e", body_sha256="0" * 64, type="x", payload={}, status="failed", created_at=soon
    )
    ReviewReport.objects.create(review=make.ReviewFactory(), reporter=make.UserFactory(), reason="Rude")
    reported = message(0)
    reported.reports.create(reporter=reported.conversation.parent.user, reason="Rude")
    for n, fields in enumerate(({"status": "failed"}, {"next_attempt_at": soon}, {"next_attempt_at": make.in_days(1)})):
        Notification.objects.create(user=make.UserFactory(), kind="booking_confirmed", dedupe_key=str(n), **fields)
    ErasureRequest.objects.create(user=make.UserFactory(), status="erased", attempts=3, next_step_at=make.in_days(1))
    ErasureRequest.objects.create(user=make.UserFactory(), next_step_at=soon)
    ExportRequest.objects.create(user=make.UserFactory(), status="failed", next_attempt_at=soon)


def test_everything_that_waits_is_counted_with_its_age(ops):
    much_to_do()
    found = waiting(ops)
    assert found["Providers to verify"] == (2, "oldest 3 days", True)
    assert found["Payments to review"] == (1, "oldest 4 hours", False)
    assert found["Refunds that failed"] == (1, "oldest 3 days", True)
    assert found["Webhook events that fail"] == (1, "oldest 4 hours", True)
    assert found["Mails that do not get out"][:2] == (1, "oldest 4 hours")
    assert {title: count for title, (count, _, _) in found.items()} == {queue.title: 1 for queue in home.QUEUES} | {
        "Providers to verify": 2
    }


def test_each_number_leads_to_a_list_of_just_as_many(ops):
    much_to_do()
    for queue in ops.get("/admin/").context["waiting"]:
        listed = ops.get(queue.url)
        assert listed.status_code == 200, queue
        assert listed.context["cl"].result_count == queue.count, queue


def test_what_is_late_comes_first(ops):
    make.ProviderAccountFactory(status="pending", verified_at=None, submitted_at=make.in_days(-1))
    make.PaymentFactory(needs_review=True, created_at=make.in_days(-2))
    assert list(waiting(ops)) == ["Payments to review", "Providers to verify"]


def test_with_nothing_to_do_the_page_says_so_and_what_it_looked_at(ops):
    page = ops.get("/admin/").content.decode()
    assert "All clear. Nothing waits for you." in page
    assert "Refunds that failed" in page
    assert "Nothing yet in these 60 days." in page


def test_everybody_sees_what_their_rights_let_them_open_and_no_more():
    make.ProviderAccountFactory(status="pending", verified_at=None, submitted_at=make.in_days(-1))
    make.PaymentFactory(needs_review=True)
    verifier = signed_in(staff(rights=["providers.view_provideraccount"]))
    assert list(waiting(verifier)) == ["Providers to verify"]
    assert list(shown(verifier)) == ["New providers"]
    cashier = signed_in(staff(rights=["payments.view_payment"]))
    assert list(waiting(cashier)) == ["Payments to review"]
    assert list(shown(cashier)) == ["Gross value, USD"]
    newcomer = signed_in(staff()).get("/admin/")
    assert (newcomer.context["waiting"], newcomer.context["trends"]) == ([], [])
    assert "Nothing here for you yet." in newcomer.content.decode()


def test_the_page_takes_as_many_queries_with_much_to_do_as_with_nothing(ops):
    def queries() -> int:
        caches["default"].clear()
        with CaptureQueriesContext(connection) as captured:
            ops.get("/admin/")
        return len(captured)

    ops.get("/admin/")  # content types are cached from now on
    with_nothing = queries()
    much_to_do()
    confirmed(1)
    assert queries() == with_nothing <= 23


# --- Search --------------------------------------------------------------------------------------------------------


def test_a_drift_of_search_is_news_for_a_week_though_it_was_mended(ops):
    activity = make.SessionFactory().activity
    marketplace_tasks.check_drift()
    assert waiting(ops) == {}
    SearchRow.objects.all().delete()
    marketplace_tasks.check_drift()
    assert SearchRow.objects.get().activity == activity
    marketplace_tasks.check_drift()
    found = ops.get("/admin/").context["waiting"]
    assert [(each.title, each.count) for each in found] == [("Search had drifted, and was mended", 1)]
    assert list(ops.get(found[0].url).context["cl"].result_list) == [activity]
    upkeep.note_check([activity.pk], now=make.in_days(-8))
    upkeep.note_check([], now=make.in_days(0))
    assert waiting(ops) == {}


def test_a_comparison_that_has_not_been_made_for_hours_is_told(ops):
    upkeep.note_check([], now=make.in_days(-0.5))
    assert waiting(ops) == {"Search not compared": (0, "for 12 hours", True)}


# --- Trends --------------------------------------------------------------------------------------------------------


def test_the_last_thirty_complete_days_are_compared_with_the_thirty_before(ops):
    for days in (0, 1, 1, 30, 31, 60, 61):
        confirmed(days)
    make.BookingFactory()  # held, and not yet paid
    assert shown(ops)["Bookings confirmed"] == ("3", "+50%", "success")
    assert shown(ops)["Gross value, USD"] == ("$60", "+50%", "success")


def test_days_begin_at_midnight_of_the_region_s_clock():
    last = trends.last_day(datetime(2026, 3, 10, 3, 59, tzinfo=UTC))  # still the ninth in New York
    make.BookingFactory(status="confirmed", confirmed_at=datetime(2026, 3, 9, 3, 59, tzinfo=UTC))  # 23:59 on the eighth
    make.BookingFactory(status="confirmed", confirmed_at=datetime(2026, 3, 9, 4, 0, tzinfo=UTC))  # midnight
    assert f"{last}" == "2026-03-08"
    numbers = trends.count(datetime(2026, 3, 10, 3, 59, tzinfo=UTC))
    assert (numbers["days"][-1], numbers["bookings"][-1], sum(numbers["bookings"])) == ("Mar 8", 1, 1)


def test_seats_count_for_the_fill_rate_unless_their_session_was_cancelled(ops):
    make.SessionFactory(starts_at=clock(2), ends_at=clock(2, 13), capacity=10, enrolled=8)
    make.SessionFactory(starts_at=clock(3), ends_at=clock(3, 13), capacity=10, enrolled=4)
    make.SessionFactory(starts_at=clock(3), ends_at=clock(3, 13), capacity=50, status="cancelled")
    make.SessionFactory(starts_at=clock(40), ends_at=clock(40, 13), capacity=10, enrolled=5)
    make.SessionFactory(enrolled=10)  # to come
    assert shown(ops)["Fill rate of sessions"] == ("60%", "+10 points", "success")


def test_more_cancellations_are_no_success(ops):
    for days, was_confirmed in ((2, True), (3, True), (3, False), (40, True)):
        make.BookingFactory(
            status="cancelled", cancelled_at=clock(days), confirmed_at=clock(days + 1) if was_confirmed else None
        )
    assert shown(ops)["Bookings cancelled"] == ("2", "+100%", "danger")


def test_the_figures_are_kept_for_some_minutes_and_hold_nobody_s_data(ops):
    confirmed(1)
    assert shown(ops)["Bookings confirmed"][0] == "1"
    confirmed(1)
    assert shown(ops)["Bookings confirmed"][0] == "1"
    caches["default"].clear()
    assert shown(ops)["Bookings confirmed"][0] == "2"
    assert set(trends.figures(datetime.now(UTC))) == {
        "days", "bookings", "value", "seats", "taken", "providers", "cancellations",
    }  # fmt: skip


def test_the_page_opens_without_redis_and_without_the_global_database(ops, monkeypatch):
    confirmed(1)
    monkeypatch.setattr("django_redis.client.default.DefaultClient.get_client", refuse)
    with connections["global"].execute_wrapper(out_of_reach):
        assert shown(ops)["Bookings confirmed"][0] == "1"
        assert waiting(ops) == {}
    marketplace_tasks.check_drift()


def refuse(*args, **kwargs):
    from redis.exceptions import ConnectionError

    raise ConnectionError("connection refused")
