"""GET /v1/provider/dashboard: sessions, seats, money by month, cancellations and ratings, from few queries."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.dashboard import dashboard
from payments.models import Payment, Refund
from tests.factories import (
    BookingFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    ReviewFactory,
    SessionFactory,
    UserFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

DASHBOARD = "/v1/provider/dashboard"
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def member():
    return ProviderUserFactory(role="staff")


@pytest.fixture
def account(member):
    return member.provider_account


@pytest.fixture
def offering(account):
    return OfferingFactory(activity__provider=account)


def shown(account, now=NOW):
    """What the dashboard says at `now`."""
    return dashboard(account, now=now)


def session(offering, days, **fields):
    return SessionFactory(offering=offering, starts_at=NOW + timedelta(days=days), **fields)


def paid(offering, paid_at, cents=2500, **fields):
    booking = BookingFactory(session=SessionFactory(offering=offering), status="confirmed")
    given = {"status": "paid", "paid_at": paid_at, "amount_cents": cents, **fields}
    return PaymentFactory(booking=booking, **given)


def refund(payment, created_at, cents, status="succeeded", **fields):
    return Refund.objects.create(
        payment=payment,
        amount_cents=cents,
        currency=payment.currency,
        reason="x",
        status=status,
        created_at=created_at,
        **fields,
    )


def money(account, now=NOW):
    """Paid and refunded by month and currency, without the empty months."""
    rows = shown(account, now)["revenue"]
    assert all(row["net_cents"] == row["paid_cents"] - row["refunded_cents"] for row in rows)
    return {
        (row["month"], row["currency"]): (row["paid_cents"], row["refunded_cents"])
        for row in rows
        if row["paid_cents"] or row["refunded_cents"]
    }


# --- The answer ------------------------------------------------------------------------------------------------------


def test_a_new_account_sees_an_empty_house(api, member):
    answer = api.as_user(member.user).get(DASHBOARD)
    assert answer.status == 200
    revenue = answer.data.pop("revenue")
    assert answer.data == {
        "timezone": "UTC",
        "days": 30,
        "upcoming": {"count": 0, "capacity": 0, "enrolled": 0, "next": []},
        "fillRate": {"upcoming": None, "past": None},
        "cancellations": {"bookings": 0, "sessions": 0},
        "rating": {"average": None, "count": 0, "unanswered": 0},
    }
    assert len(revenue) == 12
    assert revenue[-1] == {
        "month": f"{datetime.now(UTC):%Y-%m}",
        "currency": "USD",
        "paidCents": 0,
        "refundedCents": 0,
        "netCents": 0,
    }


def test_a_busy_one_sees_how_it_goes(api, member, offering):
    soon = SessionFactory(offering=offering, starts_at=in_days(1))
    booking = BookingFactory(session=soon, status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    ReviewFactory(booking=BookingFactory(session=SessionFactory(offering=offering), status="completed"), rating=5)
    data = api.as_user(member.user).get(DASHBOARD).data
    assert data["timezone"] == "America/Chicago"
    assert (data["upcoming"]["count"], data["upcoming"]["capacity"], data["upcoming"]["enrolled"]) == (2, 20, 2)
    assert data["upcoming"]["next"][0]["id"] == str(soon.pk)
    assert data["upcoming"]["next"][0]["activityTitle"] == offering.activity.title
    assert data["fillRate"] == {"upcoming": 0.1, "past": None}
    assert data["revenue"][-1]["netCents"] == 2500
    assert data["rating"] == {"average": 5.0, "count": 1, "unanswered": 1}


@pytest.mark.parametrize("role", ["owner", "admin", "staff"])
def test_all_staff_may_look(api, account, role):
    user = ProviderUserFactory(provider_account=account, role=role).user
    assert api.as_user(user).get(DASHBOARD, X_Provider_Account=str(account.pk)).status == 200


def test_nobody_else_may(api, account):
    assert api.get(DASHBOARD).code == (401, "UNAUTHORIZED")
    assert api.as_user(UserFactory()).get(DASHBOARD).code == (403, "FORBIDDEN")
    stranger = api.as_user(ProviderUserFactory().user)
    assert stranger.get(DASHBOARD, X_Provider_Account=str(account.pk)).code == (404, "NOT_FOUND")
    assert stranger.get(f"{DASHBOARD}?month=2026-03").code == (400, "VALIDATION_ERROR")


def test_another_account_changes_nothing(account, offering):
    empty = shown(account)
    elsewhere = OfferingFactory()
    paid(elsewhere, NOW)
    session(elsewhere, 1)
    session(elsewhere, -1, status="cancelled", cancelled_at=NOW)
    BookingFactory(session=session(elsewhere, 2), status="cancelled", confirmed_at=NOW, cancelled_at=NOW)
    ReviewFactory(booking=BookingFactory(session=session(elsewhere, -2), status="completed"))
    assert {**shown(account), "upcoming": None} == {**empty, "upcoming": None}
    assert list(shown(account)["upcoming"]["next"]) == []


# --- Sessions and seats ----------------------------------------------------------------------------------------------


def test_what_lies_ahead_and_how_full_it_is(account, offering):
    session(offering, 1, capacity=10, enrolled=4)
    session(offering, 30, capacity=5, enrolled=5)
    session(offering, 31, capacity=10)
    session(offering, 2, capacity=10, status="cancelled", cancelled_at=NOW - timedelta(days=60))
    session(offering, -0.01, capacity=10, enrolled=3)  # under way
    found = shown(account)
    assert {**found["upcoming"], "next": None} == {"count": 2, "capacity": 15, "enrolled": 9, "next": None}
    assert found["fill_rate"] == {"upcoming": 0.6, "past": 0.3}


def test_how_full_it_was(account, offering):
    session(offering, -1, capacity=8, enrolled=4, status="completed")
    session(offering, -29, capacity=4, enrolled=4, status="completed")
    session(offering, -31, capacity=100, status="completed")
    session(offering, -2, capacity=100, status="cancelled", cancelled_at=NOW)
    assert shown(account)["fill_rate"]["past"] == 0.6667


def test_the_next_five_whenever_they_are(account, offering):
    made = {days: session(offering, days) for days in (40, 3, 50, 1, 60, 2)}
    session(offering, 0.5, status="cancelled")
    assert list(shown(account)["upcoming"]["next"]) == [made[days] for days in (1, 2, 3, 40, 50)]


# --- Money -----------------------------------------------------------------------------------------------------------


def test_revenue_is_what_came_less_what_went_back_each_in_its_month(account, offering):
    january = paid(offering, datetime(2026, 1, 20, tzinfo=UTC))
    paid(offering, datetime(2026, 1, 21, tzinfo=UTC), cents=1000)
    refund(january, datetime(2026, 2, 3, tzinfo=UTC), 500)
    refund(january, datetime(2026, 3, 3, tzinfo=UTC), 2000, status="pending")
    Payment.objects.filter(pk=january.pk).update(status="refunded", refunded_at=NOW)
    assert money(account) == {
        ("2026-01", "USD"): (3500, 0),
        ("2026-02", "USD"): (0, 500),
        ("2026-03", "USD"): (0, 2000),
    }
    february = next(row for row in shown(account)["revenue"] if row["month"] == "2026-02")
    assert february["net_cents"] == -500


def test_only_money_that_came_counts_and_only_what_really_goes_back(account, offering):
    for status in ("created", "pending", "failed"):
        paid(offering, None, status=status)
    refund(paid(offering, NOW - timedelta(days=1)), NOW, 700, status="failed")
    assert money(account) == {("2026-03", "USD"): (2500, 0)}


def test_a_refund_that_was_told_before_its_payment_leaves_nothing(account, offering):
    payment = paid(offering, None, status="refunded", refunded_at=NOW)
    refund(payment, NOW, 2500)
    assert money(account) == {("2026-03", "USD"): (2500, 2500)}


def test_currencies_are_never_added_up(account, offering):
    paid(offering, NOW, cents=100)
    paid(offering, NOW, cents=900, currency="INR")
    assert money(account) == {("2026-03", "USD"): (100, 0), ("2026-03", "INR"): (900, 0)}
    assert [row["currency"] for row in shown(account)["revenue"]] == ["INR", "USD"] * 12


def test_it_shows_twelve_months_the_empty_ones_included(account, offering):
    paid(offering, datetime(2025, 4, 1, 12, tzinfo=UTC), cents=100)
    paid(offering, datetime(2025, 3, 31, 12, tzinfo=UTC), cents=900)
    rows = shown(account)["revenue"]
    assert [row["month"] for row in rows] == [f"2025-{n:02}" for n in range(4, 13)] + ["2026-01", "2026-02", "2026-03"]
    assert money(account) == {("2025-04", "USD"): (100, 0)}


@pytest.mark.parametrize(
    ("zone", "month"), [("America/Chicago", "2026-02"), ("UTC", "2026-03"), ("Asia/Kolkata", "2026-03")]
)
def test_a_month_begins_where_the_default_location_is(account, offering, zone, month):
    LocationFactory(provider=account, city=CityFactory(name="First", timezone="Pacific/Auckland"))
    LocationFactory(provider=account, city=CityFactory(name="Second", timezone=zone), is_default=True)
    payment = paid(offering, datetime(2026, 3, 1, 3, tzinfo=UTC))
    refund(payment, datetime(2026, 3, 1, 3, tzinfo=UTC), 100)
    assert shown(account)["timezone"] == zone
    assert money(account) == {(month, "USD"): (2500, 100)}


def test_a_month_may_begin_before_it_does_in_utc(account, offering):
    LocationFactory(provider=account, city=CityFactory(timezone="Asia/Kolkata"), is_default=True)
    # Half past midnight on 1 March in India is the evening of 28 February in UTC.
    payment = paid(offering, datetime(2026, 2, 28, 19, tzinfo=UTC))
    assert money(account) == {("2026-03", "USD"): (2500, 0)}
    assert money(account, now=payment.paid_at) == {("2026-03", "USD"): (2500, 0)}


def test_india_counts_in_rupees(account, india):
    assert {row["currency"] for row in shown(account)["revenue"]} == {"INR"}


# --- Cancellations and ratings ---------------------------------------------------------------------------------------


def test_cancellations_of_the_last_thirty_days(account, offering):
    lately, long_ago = NOW - timedelta(days=29), NOW - timedelta(days=31)
    for cancelled_at in (lately, lately, long_ago):
        BookingFactory(
            session=session(offering, 5), status="cancelled", confirmed_at=long_ago, cancelled_at=cancelled_at
        )
    # A hold that somebody let go is no cancellation.
    BookingFactory(session=session(offering, 5), status="cancelled", cancelled_at=lately)
    for cancelled_at in (lately, long_ago):
        session(offering, 60, status="cancelled", cancelled_at=cancelled_at)
    assert shown(account)["cancellations"] == {"bookings": 2, "sessions": 1}


def test_ratings_are_those_that_parents_see(account, offering):
    for rating, fields in ((5, {}), (4, {"response": "Thanks"}), (4, {}), (1, {"status": "hidden"})):
        booking = BookingFactory(session=session(offering, -2), status="completed")
        ReviewFactory(booking=booking, rating=rating, **fields)
    assert shown(account)["rating"] == {"average": 4.33, "count": 3, "unanswered": 2}


# --- Queries ---------------------------------------------------------------------------------------------------------


def test_it_takes_the_same_few_queries_however_much_there_is(api, member, offering):
    client, counts = api.as_user(member.user), []
    for more in (0, 1, 2):
        for _ in range(more):
            payment = paid(offering, in_days(0))
            refund(payment, in_days(0), 1)
            review = BookingFactory(session=SessionFactory(offering=offering), status="completed")
            ReviewFactory(booking=review)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(DASHBOARD).status == 200
        counts.append(len(queries))
    # User; membership; zone; sessions; the next ones; payments; refunds; bookings; reviews.
    assert counts == [9, 9, 9]
