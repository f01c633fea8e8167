"""What ops see of people without asking: every personal column that the admin shows as it is, and why."""

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import RequestFactory

from core.classification import personal_columns
from tests.admin.rows import row_of, staff

pytestmark = pytest.mark.django_db(databases=["default", "global"])

# All else that is personal is masked, and revealed one record at a time, or not in the admin at all.
SHOWN = {
    # A business, as it wants to be found.
    "providers.Location": {"address", "latitude", "longitude"},
    "providers.ProviderAccount": {"email", "phone"},
    "privacy.ErasureRequest": {"slugs"},
    # Published for everybody, or asked to be judged.
    "bookings.Review": {"comment", "response", "hidden_reason"},
    "bookings.ReviewReport": {"reason"},
    "messaging.MessageReport": {"reason", "resolution"},
    # Why something was done, which is what a caller asks about.
    "bookings.Booking": {"cancellation_reason"},
    "marketplace.Session": {"cancellation_reason"},
    "payments.RefundRequest": {"reason", "decision"},
    # What a payment is called at its processor, without which it is not found there.
    "payments.Payment": {"processor_payment_id", "processor_checkout_id", "review_note"},
    "payments.Refund": {"processor_refund_id", "reason"},
    "payments.WebhookEvent": {"processor_payment_id"},
    # The address of colleagues only: who is no member of staff has a masked one in its place. Of everybody, whether the
    # account is in use, and the id by which Supabase knows it.
    "users.User": {"email", "last_seen_at", "auth_id"},
    # Random, and what was done by whom.
    "core.IdempotencyKey": {"key"},
    "admin.LogEntry": {"object_repr"},
}


def shown_as_it_is(page, request) -> set[str]:
    with transaction.atomic():
        # The form of a new row, and the page of one that is there.
        rows = (None, row_of(page.model._meta.label))
        fieldsets = [each for row in rows for each in page.get_fieldsets(request, row)]
        transaction.set_rollback(True)
    names = [*page.get_list_display(request), *(name for _, options in fieldsets for name in options["fields"])]
    return {name for name in names if isinstance(name, str)} & personal_columns(page.model)


def test_no_other_personal_column_is_shown_as_it_is():
    request = RequestFactory().get("/admin/")
    request.user = staff(email="boss@juniro.example", is_superuser=True)
    found = {model._meta.label: shown_as_it_is(page, request) for model, page in admin.site._registry.items()}
    assert {label: names for label, names in found.items() if names} == SHOWN
