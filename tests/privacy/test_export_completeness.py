"""The export beside the registry: of each personal column somebody said whether its person gets to see it."""

import pytest
from django.apps import apps

from core.classification import classified_models, personal_columns
from privacy import export

# Of staff alone.
OF_STAFF = ("axes.", "otp_totp.", "otp_static.", "sessions.")

# Personal columns that the export leaves out, each with the reason.
UNTOLD = {
    "users.User.password": "Of staff alone, and a hash.",
    "users.User.auth_id": "Supabase's, which tells it in its own token.",
    "users.User.last_login": "Of staff alone.",
    "payments.Payment.checkout_url": "Opens a checkout; over when it is paid.",
    "payments.Payment.review_note": "What staff noted among themselves.",
    "messaging.MessageReport.resolution": "What staff decided among themselves.",
    "notifications.Bounce.email_sha256": "A hash of an address that stands in the account.",
    "privacy.ExportRequest.file": "Where the archive lies; it is fetched by a link.",
    "privacy.ErasureRequest.auth_id": "Kept until Supabase has deleted its user.",
    "privacy.ErasureRequest.receipt_to": "Kept until the receipt is sent.",
    "privacy.ErasureRequest.slugs": "Kept until the global layer has given them back.",
}

# Tables with personal columns that are ops' own, public, or kept for repeated requests.
OF_NO_PERSON = {"admin.LogEntry", "core.IdempotencyKey", "marketplace.Session", "marketplace.SearchRow"}


def test_the_export_tells_every_personal_column_or_says_why_not():
    untold = {
        f"{section.model._meta.label}.{name}"
        for section in export.SECTIONS
        for name in personal_columns(section.model)
        if name not in {each.split("__")[0] for each in section.columns.split()}
    }
    assert untold == set(UNTOLD)


def test_every_table_with_personal_columns_is_exported_or_left_out_for_a_reason():
    known = {section.model for section in export.SECTIONS} | set(export.LEFT_OUT)
    personal = {each for each in classified_models() if personal_columns(each)}
    labels = {each._meta.label for each in personal - known}
    assert {label for label in labels if not label.startswith(OF_STAFF)} == OF_NO_PERSON


@pytest.mark.parametrize("column", UNTOLD)
def test_an_exception_is_about_a_personal_column(column):
    label, _, name = column.rpartition(".")
    assert name in personal_columns(apps.get_model(label))
