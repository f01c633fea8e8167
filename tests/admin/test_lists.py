"""Lists: counted only so far, looked at by date, taken along as CSV, and of some use when they are empty."""

import csv
import io
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.admin import lists
from payments.models import Payment
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import BookingFactory, ParentFactory, PaymentFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])

PAYMENTS = "/admin/payments/payment/"

# What verbs govern: no form changes any of it.
GOVERNED = [
    "bookings.Booking", "bookings.Review", "bookings.ReviewReport", "bookings.Seat", "marketplace.Session",
    "messaging.Conversation", "messaging.Message", "messaging.MessageReport", "notifications.Notification",
    "payments.Payment", "payments.Reconciliation", "payments.Refund", "payments.RefundRequest",
    "payments.WebhookEvent", "privacy.ErasureRequest", "privacy.ExportRequest", "users.Child", "users.Consent",
    "users.Parent",
]  # fmt: skip


@pytest.mark.parametrize("label", GOVERNED)
def test_nothing_that_a_verb_governs_can_be_edited_by_hand(label, rf):
    request = rf.get("/")
    request.user = staff(is_superuser=True)
    model_admin = next(each for model, each in admin.site._registry.items() if model._meta.label == label)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_delete_permission(request)
    assert list(model_admin.list_editable) == []


# --- Counting --------------------------------------------------------------------------------------------------------


def test_a_list_is_counted_only_so_far_and_says_so(ops, monkeypatch):
    monkeypatch.setattr(lists, "COUNTED", 60)
    PaymentFactory.create_batch(3)
    assert "3\n" in ops.get(PAYMENTS).content.decode()
    Payment.objects.bulk_create(PaymentFactory.build(booking=BookingFactory(), status="failed") for _ in range(70))
    response = ops.get(PAYMENTS)
    assert "More than 1,000. Search, or filter" in response.content.decode()
    assert response.context["cl"].result_count == 61
    assert len(response.context["cl"].result_list) == 50
    assert len(ops.get(f"{PAYMENTS}?p=2").context["cl"].result_list) == 11


# --- Dates -----------------------------------------------------------------------------------------------------------


def test_a_list_is_looked_at_by_year_month_and_day(ops):
    for n, day in enumerate((datetime(2025, 11, 30, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC))):
        PaymentFactory(id=f"0190000{n}-0000-7000-8000-000000000000", created_at=day)
    shown = ops.get(PAYMENTS).content.decode()
    assert "?created_at__year=2025" in shown
    assert "?created_at__year=2026" in shown
    year = ops.get(f"{PAYMENTS}?created_at__year=2026")
    assert len(year.context["cl"].result_list) == 1
    shown = year.content.decode()
    assert "created_at__month=3" in shown
    assert "created_at__month=4" not in shown
    shown = ops.get(f"{PAYMENTS}?created_at__year=2026&created_at__month=3").content.decode()
    assert "created_at__day=4" in shown
    assert "created_at__day=5" not in shown
    for nonsense in ("created_at__year=x", "created_at__year=2026&created_at__month=13", "created_at__year=0"):
        assert ops.get(f"{PAYMENTS}?{nonsense}").status_code in (200, 302, 400)


# --- CSV -------------------------------------------------------------------------------------------------------------


def rows_of(response) -> list[list[str]]:
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def test_what_a_list_shows_is_taken_along_under_its_filters_and_who_took_it_is_kept(ops, superuser):
    shown = PaymentFactory(status="paid", needs_review=True)
    PaymentFactory()
    response = ops.post(f"{PAYMENTS}csv/?needs_review__exact=1")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["Content-Disposition"].startswith('attachment; filename="payment-')
    header, *rows = rows_of(response)
    assert header[:5] == ["Id", "Status", "Review", "Amount", "Processor"]
    assert [row[:5] for row in rows] == [[str(shown.pk), "Paid", "Needed", "25.00 USD", "Stripe"]]
    entry = LogEntry.objects.get(change_message__startswith="Exported")
    assert (entry.user, entry.change_message) == (superuser, "Exported the list as CSV: needs_review__exact=1.")


def test_people_are_as_masked_there_as_on_the_page(ops):
    ParentFactory(first_name="Adaeze", last_name="Okonkwo", phone="+15125550123",
                  user=UserFactory(email="adaeze@example.com", parent=None))  # fmt: skip
    response = ops.post("/admin/users/parent/csv/?q=adaeze@example.com")
    ((_, name, phone, email, *_),) = rows_of(response)[1:]
    assert (name, phone, email) == ("A… O…", "'+1…23", "a…@example.com")
    assert "search=a…@example.com" in LogEntry.objects.get(change_message__startswith="Exported").change_message


def test_no_cell_is_run_by_a_spreadsheet(ops):
    booking = BookingFactory(session__offering__activity__title='=HYPERLINK("http://evil.example")')
    (row,) = rows_of(ops.post("/admin/bookings/booking/csv/"))[1:]
    assert '\'=HYPERLINK("http://evil.example")' in row
    assert str(booking.pk) in row


def test_an_export_ends_somewhere(ops, monkeypatch):
    monkeypatch.setattr(lists, "EXPORTED", 2)
    PaymentFactory.create_batch(3)
    assert len(rows_of(ops.post(f"{PAYMENTS}csv/"))) == 3


def test_an_export_takes_as_many_queries_for_three_rows_as_for_one(ops):
    def taken() -> int:
        with CaptureQueriesContext(connection) as asked:
            list(ops.post("/admin/bookings/booking/csv/").streaming_content)
        return len(asked)

    BookingFactory()
    taken()  # content types are cached from now on
    first = taken()
    BookingFactory.create_batch(2)
    assert taken() == first


def test_only_who_may_see_a_list_takes_it_along_and_only_by_a_button():
    PaymentFactory()
    assert signed_in(staff()).post(f"{PAYMENTS}csv/").status_code == 403
    client = signed_in(staff(rights=["payments.view_payment"]))
    assert client.get(f"{PAYMENTS}csv/").status_code == 405
    client.handler.enforce_csrf_checks = True
    assert client.post(f"{PAYMENTS}csv/").status_code == 403
    assert not LogEntry.objects.filter(change_message__startswith="Exported").exists()


# --- Nothing there ---------------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_to_do(ops):
    shown = ops.get(f"{PAYMENTS}?q=pi_unknown").content.decode()
    assert "Nothing matches. No payment like this. Search by the parent&#x27;s e-mail" in shown
    assert "Show all" in shown
    assert "Nothing matches" not in ops.get("/admin/messaging/messagereport/").content.decode()
