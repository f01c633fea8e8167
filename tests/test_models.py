"""The database has the last word: every rule of the data model, with the code that also keeps it out of the way.

Rows are changed, copied and deleted by plain SQL here, as another program or a person at a prompt would.
"""

import uuid
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connections, models, transaction

from bookings.models import CalendarFeed, RatingStale, Review, ReviewReport, RosterView
from core.models import IdempotencyKey
from geography.models import Locality
from marketplace.models import ActivityImage, Category, ParentInterest
from messaging.models import Conversation, Message, MessageReport
from notifications.models import Bounce, Notification, NotificationPreference
from payments.models import Reconciliation, Refund, RefundRequest, WebhookEvent
from privacy.models import ErasureRequest, ExportRequest
from providers.models import Invitation
from regions.models import AppConfig, FeatureFlag, RatingAggregate, SlugReservation
from tests.factories import (
    ActivityFactory,
    AttachmentFactory,
    BookingFactory,
    ChildFactory,
    CityFactory,
    ConsentFactory,
    LocationFactory,
    OfferingFactory,
    ParentFactory,
    PaymentFactory,
    ProviderAccountFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
)
from users.models import AccountTombstone

pytestmark = pytest.mark.django_db(databases=["default", "global"])

OURS = [
    model
    for model in apps.get_models()
    if model._meta.app_label
    in {
        "core",
        "regions",
        "geography",
        "users",
        "notifications",
        "providers",
        "marketplace",
        "bookings",
        "payments",
        "messaging",
        "privacy",
    }
]


def alias_of(table: str) -> str:
    return "global" if table.startswith("regions_") else "default"


def execute(table: str, sql: str, *values: Any) -> list[tuple]:
    """Runs `sql` in the database of `table` and checks what is deferred at once."""
    with transaction.atomic(using=alias_of(table)), connections[alias_of(table)].cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall() if cursor.description else []
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        return rows


def count(table: str) -> int:
    return execute(table, f"SELECT count(*) FROM {table}")[0][0]


def copy_row(table: str, **changes: str) -> None:
    """Inserts a copy of each row of `table` with an id of its own and `changes`: column = SQL expression."""
    columns = [
        name
        for (name,) in execute(table, "SELECT column_name FROM information_schema.columns WHERE table_name = %s", table)
    ]
    values = {"id": "gen_random_uuid()"} | changes
    chosen = ", ".join(values.get(column, column) for column in columns)
    execute(table, f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table}")


@contextmanager
def refused(*, constraint: str = "", key: str = ""):
    """Expects the database to refuse what happens inside, by the rule `constraint` or the unique `key`."""
    with pytest.raises(IntegrityError) as refusal:
        yield
    diagnosis = refusal.value.__cause__.diag
    if constraint:
        assert diagnosis.constraint_name == constraint
    if key:
        assert diagnosis.message_detail.startswith(f"Key ({key})=(")


@pytest.fixture
def world(now) -> SimpleNamespace:
    """One good row in each table."""
    provider = ProviderAccountFactory()
    staff = ProviderUserFactory(provider_account=provider)
    booking = BookingFactory(session=SessionFactory(offering__activity__provider=provider))
    location = booking.session.location
    payment = PaymentFactory(booking=booking, idempotency_key="one")
    parent = booking.parent
    conversation = Conversation.objects.create(parent=parent, provider=provider, booking=booking)
    Locality.objects.create(city=location.city, name="Downtown", slug="downtown")
    AccountTombstone.bury("gone", now=now)
    ConsentFactory(user=parent.user)
    Notification.objects.create(user=parent.user, kind="booking_confirmed", dedupe_key="one")
    NotificationPreference.objects.create(user=parent.user, kind="session_reminder")
    Bounce.objects.create(user=parent.user, email_sha256="a", reason="complaint", happened_at=now)
    Invitation.objects.create(provider_account=provider, email="new@example.com", token_sha256="a", expires_at=now)
    ParentInterest.objects.create(
        parent=parent, category=booking.session.activity.category, child=ChildFactory(parent=parent)
    )
    ActivityImage.objects.create(
        activity=booking.session.activity, content_type="image/png", position=1, width=2, height=1
    )
    review = Review.objects.create(booking=booking, parent=parent, rating=5)
    ReviewReport.objects.create(review=review, reporter=staff.user, reason="Rude")
    RatingStale.objects.create(activity=booking.session.activity)
    ErasureRequest.objects.create(user=parent.user, auth_id=parent.user.auth_id, next_step_at=now)
    ExportRequest.objects.create(user=parent.user, next_attempt_at=now)
    RosterView.objects.create(user=staff.user, session=booking.session, format="csv", children=1, request_id="x")
    CalendarFeed.objects.create(user=staff.user, provider_account=provider, location=location, token_sha256="a")
    Refund.objects.create(payment=payment, amount_cents=1, currency="USD", reason="x", processor_refund_id="re_1")
    RefundRequest.objects.create(
        payment=payment, amount_cents=1, currency="USD", reason="x", needs_approval=True, requested_by=staff.user
    )
    WebhookEvent.objects.create(processor="stripe", event_id="evt", body_sha256="a", type="x", payload={})
    Reconciliation.objects.create(processor="stripe", until=now)
    message = Message.objects.create(
        conversation=conversation, number=1, sender=staff.user, sender_type="provider", content="Hello"
    )
    MessageReport.objects.create(message=message, reporter=parent.user, reason="Rude")
    AttachmentFactory(conversation=conversation, uploader=staff.user)
    SlugReservation.objects.create(slug="swim", region="us")
    RatingAggregate.objects.create(region="us", subject="activity", subject_id=uuid.uuid4())
    FeatureFlag.objects.create(key="MESSAGING_ENABLED")
    AppConfig.objects.create(key="hold", value=35)
    IdempotencyKey.objects.create(
        key="one", user_id=parent.user_id, method="POST", path="/", body_sha256="", status_code=200, expires_at=now
    )
    return SimpleNamespace(booking=booking, payment=payment, location=location, provider=provider, parent=parent)


def test_the_world_has_a_row_in_every_table(world):
    empty = {model._meta.db_table for model in OURS if not count(model._meta.db_table)}
    assert empty <= {"marketplace_searchword"}  # collected by a task


# --- CHECKs ---------------------------------------------------------------------------------------------------------

# constraint: the change of its table's rows that it must refuse. All in one table, so that none is forgotten below.
ALLOWED_VALUES = {
    "slugreservation_region_allowed": "regions_slugreservation.region",
    "ratingaggregate_region_allowed": "regions_ratingaggregate.region",
    "ratingaggregate_subject_allowed": "regions_ratingaggregate.subject",
    "country_currency_allowed": "geography_country.currency",
    "country_region_allowed": "geography_country.region",
    "user_role_allowed": "users_user.role",
    "notification_status_allowed": "notifications_notification.status",
    "notification_kind_allowed": "notifications_notification.kind",
    "notificationpreference_kind_optional": "notifications_notificationpreference.kind",
    "bounce_reason_allowed": "notifications_bounce.reason",
    "provideraccount_type_allowed": "providers_provideraccount.type",
    "provideraccount_status_allowed": "providers_provideraccount.status",
    "provideruser_role_allowed": "providers_provideruser.role",
    "invitation_role_allowed": "providers_invitation.role",
    "activity_status_allowed": "marketplace_activity.status",
    "activityimage_status_allowed": "marketplace_activityimage.status",
    "offering_type_allowed": "marketplace_offering.type",
    "offering_status_allowed": "marketplace_offering.status",
    "offering_currency_allowed": "marketplace_offering.currency",
    "session_status_allowed": "marketplace_session.status",
    "booking_status_allowed": "bookings_booking.status",
    "booking_currency_allowed": "bookings_booking.currency",
    "seat_attendance_allowed": "bookings_seat.attendance",
    "rosterview_format_allowed": "bookings_rosterview.format",
    "payment_status_allowed": "payments_payment.status",
    "payment_currency_allowed": "payments_payment.currency",
    "payment_processor_allowed": "payments_payment.processor",
    "refund_status_allowed": "payments_refund.status",
    "refund_currency_allowed": "payments_refund.currency",
    "refundrequest_status_allowed": "payments_refundrequest.status",
    "refundrequest_currency_allowed": "payments_refundrequest.currency",
    "webhookevent_processor_allowed": "payments_webhookevent.processor",
    "webhookevent_status_allowed": "payments_webhookevent.status",
    "reconciliation_processor_allowed": "payments_reconciliation.processor",
    "conversation_status_allowed": "messaging_conversation.status",
    "message_sender_type_allowed": "messaging_message.sender_type",
    "attachment_status_allowed": "messaging_attachment.status",
    "conversation_blocked_by_allowed": "messaging_conversation.blocked_by",
    "review_status_allowed": "bookings_review.status",
    "erasurerequest_status_allowed": "privacy_erasurerequest.status",
    "exportrequest_status_allowed": "privacy_exportrequest.status",
    "reviewreport_status_allowed": "bookings_reviewreport.status",
    "messagereport_status_allowed": "messaging_messagereport.status",
}
CHECKS = [
    ("ratingaggregate_average_range", "regions_ratingaggregate", "average = -0.01"),
    ("ratingaggregate_average_range", "regions_ratingaggregate", "average = 5.01"),
    ("city_latitude_range", "geography_city", "latitude = 90.1"),
    ("city_latitude_range", "geography_city", "latitude = 'NaN'"),
    ("city_longitude_range", "geography_city", "longitude = -180.1"),
    ("user_has_a_door", "users_user", "auth_id = NULL"),
    ("parent_phone_e164", "users_parent", "phone = '5125550123'"),
    ("parent_phone_e164", "users_parent", "phone = '+0123456789'"),
    ("parent_phone_e164", "users_parent", "phone = '+1 512 5550123'"),
    ("parent_phone_e164", "users_parent", "phone = E'+15125550123\\n'"),
    ("child_birth_date_known", "users_child", "birth_date = NULL"),
    ("provideraccount_verified_at_known", "providers_provideraccount", "verified_at = NULL"),
    ("location_latitude_range", "providers_location", "latitude = -91"),
    ("location_longitude_range", "providers_location", "longitude = 181"),
    ("activity_age_range", "marketplace_activity", "age_min = 9, age_max = 8"),
    ("offering_session_count", "marketplace_offering", "type = 'multi_session', session_count = NULL"),
    ("offering_session_count", "marketplace_offering", "type = 'multi_session', session_count = 0"),
    ("session_starts_before_it_ends", "marketplace_session", "ends_at = starts_at"),
    ("session_starts_before_it_ends", "marketplace_session", "ends_at = starts_at - interval '1 s'"),
    ("session_enrolled_within_capacity", "marketplace_session", "enrolled = capacity + 1"),
    ("session_enrolled_within_capacity", "marketplace_session", "capacity = 0"),
    ("booking_hold_has_an_end", "bookings_booking", "expires_at = NULL"),
    ("seat_attendance_at_known", "bookings_seat", "attendance = 'absent'"),
    ("seat_attendance_at_known", "bookings_seat", "attendance_at = now()"),
    ("calendarfeed_location_of_account", "bookings_calendarfeed", "provider_account_id = NULL"),
    ("review_rating_range", "bookings_review", "rating = 0"),
    ("review_rating_range", "bookings_review", "rating = 6"),
    ("payment_amount_positive", "payments_payment", "amount_cents = 0"),
    ("payment_paid_at_known", "payments_payment", "status = 'paid', paid_at = NULL"),
    ("refund_amount_positive", "payments_refund", "amount_cents = 0"),
    (
        "refundrequest_second_pair_of_eyes",
        "payments_refundrequest",
        "status = 'approved', decided_at = now(), decided_by_id = requested_by_id",
    ),
    ("refundrequest_second_pair_of_eyes", "payments_refundrequest", "status = 'approved', decided_at = now()"),
    ("refundrequest_decided_at_known", "payments_refundrequest", "decided_at = now()"),
    (
        "refundrequest_declined_with_reason",
        "payments_refundrequest",
        "status = 'declined', decided_at = now(), decided_by_id = requested_by_id",
    ),
    ("conversation_blocked_by_somebody", "messaging_conversation", "status = 'blocked'"),
    ("attachment_sent_with_a_message", "messaging_attachment", "status = 'sent'"),
    ("attachment_sent_with_a_message", "messaging_attachment", "message_id = (SELECT id FROM messaging_message)"),
    ("attachment_ready_has_a_size", "messaging_attachment", "size_bytes = NULL"),
    ("erasurerequest_done_keeps_nothing", "privacy_erasurerequest", "status = 'done', completed_at = now()"),
    ("erasurerequest_done_keeps_nothing", "privacy_erasurerequest", "status = 'done', auth_id = ''"),
    ("erasurerequest_receipt_is_due", "privacy_erasurerequest", "receipt_to = 'a@example.com'"),
    ("erasurerequest_receipt_is_due", "privacy_erasurerequest", "receipt_due_at = now()"),
    ("exportrequest_progress_range", "privacy_exportrequest", "progress = 101"),
    ("exportrequest_ready_has_a_file", "privacy_exportrequest", "status = 'ready', expires_at = now()"),
    ("exportrequest_ready_has_a_file", "privacy_exportrequest", "status = 'ready', file = 'a'"),
    ("conversation_blocked_by_somebody", "messaging_conversation", "blocked_by = 'parent'"),
]
# Their trigger or another CHECK of the same table speaks first, so they have a test of their own.
ELSEWHERE = {
    # tests/privacy/test_consents.py, as an append-only row cannot be made wrong.
    "consent_kind_allowed",
    "consent_of_a_child_is_about_its_data",
    "user_home_region_allowed",
    "refundrequest_amount_positive",
}


@pytest.mark.parametrize("constraint", ALLOWED_VALUES)
def test_a_string_that_is_not_allowed_is_refused(world, constraint):
    table, column = ALLOWED_VALUES[constraint].split(".")
    (size,) = execute(
        table,
        "SELECT character_maximum_length FROM information_schema.columns WHERE table_name = %s AND column_name = %s",
        table,
        column,
    )[0]
    for value in ("wrong", "", "PAID", " us"):
        with refused(constraint=constraint):
            execute(table, f"UPDATE {table} SET {column} = %s", value[:size])


@pytest.mark.parametrize(("constraint", "table", "change"), CHECKS)
def test_a_row_against_a_rule_is_refused(world, constraint, table, change):
    with refused(constraint=constraint):
        execute(table, f"UPDATE {table} SET {change}")


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("marketplace_activity", "age_min = NULL, age_max = NULL"),
        ("marketplace_activity", "age_min = 9, age_max = NULL"),
        ("marketplace_activity", "age_min = 8, age_max = 8"),
        ("marketplace_offering", "type = 'multi_session', session_count = 1"),
        ("marketplace_offering", "price_cents = 0"),
        ("marketplace_session", "enrolled = capacity"),
        ("bookings_booking", "status = 'cancelled', expires_at = NULL"),
        ("users_child", "birth_date = NULL, removed_at = now()"),
        ("users_parent", "phone = '+919876543210'"),
        ("users_user", "auth_id = NULL, is_staff = true, email = id::text"),
        ("geography_city", "latitude = NULL, longitude = NULL"),
        ("geography_city", "latitude = -90, longitude = 180"),
        ("bookings_seat", "attendance = 'present', attendance_at = now()"),
        ("bookings_calendarfeed", "location_id = NULL"),
        ("bookings_calendarfeed", "location_id = NULL, provider_account_id = NULL"),
        ("bookings_review", "rating = 1"),
        ("payments_payment", "amount_cents = 1"),
        ("messaging_conversation", "status = 'blocked', blocked_by = 'parent'"),
    ],
)
def test_a_row_at_the_edge_of_a_rule_is_welcome(world, table, change):
    execute(table, f"UPDATE {table} SET {change}")


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (model, field)
        for model in OURS
        for field in model._meta.concrete_fields
        if field.get_internal_type().startswith("Positive")
    ],
    ids=lambda each: getattr(each, "name", None) or each.__name__,
)
def test_a_count_is_never_negative(world, model, field):
    with refused():
        execute(model._meta.db_table, f"UPDATE {model._meta.db_table} SET {field.column} = -1")


def test_a_user_of_a_third_region_is_refused(world):
    with refused(constraint="user_home_region_allowed"):
        copy_row("users_user", home_region="'eu'", auth_id="gen_random_uuid()::text")


# --- Unique ---------------------------------------------------------------------------------------------------------

NEW = "gen_random_uuid()::text"
UNIQUE = [
    # table, the columns that may not repeat, and what a copy must change so that only they do
    ("core_idempotencykey", "user_id, key", {}),
    ("regions_slugreservation", "slug", {"region": "'in'"}),
    ("regions_ratingaggregate", "region, subject, subject_id", {}),
    ("regions_featureflag", "key", {}),
    ("regions_appconfig", "key", {}),
    ("geography_country", "code", {"name": NEW}),
    ("geography_country", "name", {"code": "'XX'"}),
    ("geography_city", "country_id, slug", {"name": NEW}),
    ("geography_locality", "city_id, slug", {"name": NEW}),
    ("users_user", "auth_id", {"email": NEW}),
    ("users_parent", "user_id", {}),
    ("users_accounttombstone", "auth_id_sha256", {}),
    ("notifications_notification", "dedupe_key", {"kind": "'refund_sent'"}),
    ("notifications_notificationpreference", "user_id, kind", {"email": "false"}),
    ("notifications_bounce", "user_id, email_sha256", {"reason": "'hard_bounce'"}),
    ("providers_provideraccount", "slug", {"business_name": NEW}),
    ("providers_provideruser", "provider_account_id, user_id", {"role": "'staff'"}),
    ("providers_invitation", "token_sha256", {"email": NEW}),
    ("marketplace_category", "name", {"slug": NEW}),
    ("marketplace_category", "slug", {"name": NEW}),
    ("marketplace_activity", "provider_id, slug", {"title": NEW}),
    ("marketplace_parentinterest", "parent_id, category_id, child_id", {}),
    ("bookings_review", "booking_id", {"rating": "1"}),
    ("payments_payment", "idempotency_key", {"status": "'failed'"}),
    ("payments_refund", "processor_refund_id", {}),
    ("payments_webhookevent", "processor, event_id", {"body_sha256": "'b'"}),
    ("payments_webhookevent", "processor, body_sha256", {"event_id": "'other'"}),
    ("payments_reconciliation", "processor", {}),
    ("messaging_conversation", "parent_id, provider_id", {"booking_id": "NULL"}),
    ("bookings_reviewreport", "review_id, reporter_id", {"reason": "'again'"}),
    ("bookings_calendarfeed", "token_sha256", {"location_id": "NULL"}),
    ("bookings_calendarfeed", "user_id, provider_account_id, location_id", {"token_sha256": NEW}),
    ("messaging_message", "conversation_id, number", {"content": "'again'"}),
    ("messaging_messagereport", "message_id, reporter_id", {"reason": "'again'"}),
]
# Partial and expression indexes, each with a test of its own below.
PARTIAL = {
    "erasurerequest_one_open",
    "exportrequest_one_queued",
    "user_staff_email",
    "location_one_default",
    "invitation_one_open",
    "seat_one_per_child",
    "seat_one_per_booking",
    "payment_one_open_per_booking",
    "refundrequest_one_waiting",
    # Written by triggers only; the catalogue's tests look after it.
    "searchrow_activity_city_unique",
    "searchrow_one_primary",
}


@pytest.mark.parametrize(("table", "key", "changes"), UNIQUE, ids=lambda each: each if isinstance(each, str) else "")
def test_what_is_unique_cannot_be_there_twice(world, table, key, changes):
    if table == "users_user":
        execute(table, "DELETE FROM users_user WHERE auth_id IS NULL")
    before = count(table)
    with refused(key=key):
        copy_row(table, **changes)
    assert count(table) == before


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        ("core_idempotencykey", {"user_id": "gen_random_uuid()"}),
        ("regions_ratingaggregate", {"region": "'in'"}),
        ("regions_ratingaggregate", {"subject": "'provider'"}),
        ("marketplace_activity", {"slug": NEW}),
        ("marketplace_parentinterest", {"child_id": "NULL"}),
        ("payments_payment", {"status": "'failed'", "idempotency_key": "NULL"}),
        ("payments_refund", {"processor_refund_id": "NULL"}),
        ("payments_webhookevent", {"processor": "'razorpay'"}),
        ("notifications_notificationpreference", {"kind": "'review_prompt'"}),
        ("notifications_bounce", {"email_sha256": NEW}),
        ("bookings_seat", {"released_at": "now()"}),
        ("providers_location", {"is_default": "false"}),
    ],
    ids=repr,
)
def test_what_differs_in_the_right_place_may_be_there_twice(world, table, changes):
    before = count(table)
    copy_row(table, **changes)
    assert count(table) == 2 * before


def test_an_interest_without_a_child_is_unique_too(world):
    execute("marketplace_parentinterest", "UPDATE marketplace_parentinterest SET child_id = NULL")
    with refused(constraint="parentinterest_unique"):
        copy_row("marketplace_parentinterest")


@pytest.mark.parametrize("kept", ["user_id, provider_account_id", "user_id"])
def test_a_calendar_without_a_place_or_an_account_is_unique_too(world, kept):
    empty = {"location_id", "provider_account_id"} - set(kept.split(", "))
    nothing = ", ".join(f"{column} = NULL" for column in sorted(empty))
    execute("bookings_calendarfeed", f"UPDATE bookings_calendarfeed SET {nothing}")
    with refused(constraint="calendarfeed_one_each"):
        copy_row("bookings_calendarfeed", token_sha256=NEW)


def test_two_staff_cannot_share_an_email_in_any_spelling_and_two_parents_can(world):
    UserFactory(email="ops@juniro.com", is_staff=True)
    with refused(constraint="user_staff_email"), transaction.atomic():
        UserFactory(email="OPS@juniro.com", is_staff=True)
    UserFactory(email="ops@juniro.com")
    UserFactory(email="ops@juniro.com")


def test_a_provider_has_one_default_location(world):
    execute("providers_location", "UPDATE providers_location SET is_default = true")
    with refused(constraint="location_one_default"):
        copy_row("providers_location")


def test_an_address_has_one_open_invitation_to_an_account_in_any_spelling(world):
    with refused(constraint="invitation_one_open"):
        copy_row("providers_invitation", token_sha256=NEW, email="upper(email)")
    execute("providers_invitation", "UPDATE providers_invitation SET accepted_at = now()")
    copy_row("providers_invitation", token_sha256=NEW, accepted_at="NULL")
    assert count("providers_invitation") == 2


def test_an_account_has_one_open_erasure_and_one_queued_export(world):
    with refused(constraint="erasurerequest_one_open"):
        copy_row("privacy_erasurerequest", status="'erased'")
    with refused(constraint="exportrequest_one_queued"):
        copy_row("privacy_exportrequest", progress="1")
    copy_row("privacy_erasurerequest", status="'cancelled'")
    copy_row("privacy_exportrequest", status="'failed'")


def test_a_child_holds_one_seat_in_a_session(world):
    other = BookingFactory(session=SessionFactory(), child=world.booking.child)
    with refused(constraint="seat_one_per_child"):
        execute(
            "bookings_seat",
            "UPDATE bookings_seat SET session_id = %s WHERE booking_id = %s",
            world.booking.session_id,
            other.pk,
        )


def test_a_booking_holds_one_seat_in_a_session(world):
    with refused(constraint="seat_one_per_booking"):
        copy_row("bookings_seat", child_id=f"'{ChildFactory().pk}'")


@pytest.mark.parametrize("status", ["created", "pending"])
def test_a_booking_has_one_open_payment(world, status):
    with refused(constraint="payment_one_open_per_booking"):
        copy_row("payments_payment", idempotency_key="NULL", status=f"'{status}'")


def test_a_payment_has_one_request_that_waits(world):
    with refused(constraint="refundrequest_one_waiting"):
        copy_row("payments_refundrequest")
    assert count("payments_refundrequest") == 1


def test_no_rule_is_without_its_test():
    """Whoever adds a constraint to a model adds the line above that breaks it."""
    named = {constraint.name for model in OURS for constraint in model._meta.constraints}
    keys = {(table, tuple(key.split(", "))) for table, key, _ in UNIQUE}
    tested_by_key = {
        constraint.name
        for model in OURS
        for constraint in model._meta.constraints
        if isinstance(constraint, models.UniqueConstraint) and not constraint.expressions
        if (model._meta.db_table, columns(model, constraint.fields)) in keys
    }
    tested = set(ALLOWED_VALUES) | {name for name, _, _ in CHECKS} | ELSEWHERE | PARTIAL | tested_by_key
    assert named - tested == set()
    assert tested - named == set()
    single = {
        (model._meta.db_table, (field.column,))
        for model in OURS
        for field in model._meta.concrete_fields
        if field.unique and not field.primary_key
    }
    # A search row is the activity's own, made by triggers.
    assert {each for each in single - keys if not each[0].startswith("marketplace_search")} == set()


def columns(model: type[models.Model], fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(model._meta.get_field(field).column for field in fields)


# --- home_region ----------------------------------------------------------------------------------------------------


def test_a_home_region_cannot_change_even_by_sql(world):
    with pytest.raises(IntegrityError, match=r"users_user\.home_region cannot be changed"):
        execute("users_user", "UPDATE users_user SET home_region = 'in'")
    assert execute("users_user", "SELECT DISTINCT home_region FROM users_user") == [("us",)]


def test_writing_the_same_home_region_is_no_change(world):
    execute("users_user", "UPDATE users_user SET home_region = 'us', email = 'new@example.com'")


# --- Cascades -------------------------------------------------------------------------------------------------------


def user() -> tuple[str, dict[str, int]]:
    user = ConsentFactory(user=ChildFactory().parent.user).user
    ProviderUserFactory(user=user)
    Notification.objects.create(user=user, kind="refund_sent", dedupe_key="one")
    NotificationPreference.objects.create(user=user, kind="session_reminder")
    Bounce.objects.create(user=user, email_sha256="a", reason="hard_bounce", happened_at="2026-03-01T00:00Z")
    gone = ["users_parent", "users_child", "users_consent", "providers_provideruser"]
    gone += ["notifications_notification", "notifications_notificationpreference", "notifications_bounce"]
    return f"users_user WHERE id = '{user.pk}'", dict.fromkeys(gone, 0)


def parent() -> tuple[str, dict[str, int]]:
    child = ChildFactory()
    ParentInterest.objects.create(parent=child.parent, category=Category.objects.create(name="A", slug="a"))
    return "users_parent", {"users_child": 0, "marketplace_parentinterest": 0, "users_user": 1}


def child() -> tuple[str, dict[str, int]]:
    child = ChildFactory()
    category = Category.objects.create(name="A", slug="a")
    ParentInterest.objects.create(parent=child.parent, category=category, child=child)
    ParentInterest.objects.create(parent=child.parent, category=category)
    return "users_child", {"marketplace_parentinterest": 1, "users_parent": 1}


def provider() -> tuple[str, dict[str, int]]:
    provider = ProviderAccountFactory()
    ProviderUserFactory(provider_account=provider)
    LocationFactory(provider=provider)
    OfferingFactory(activity__provider=provider)
    Invitation.objects.create(
        provider_account=provider, email="a@example.com", token_sha256="a", expires_at="2030-01-01T00:00Z"
    )
    gone = ["providers_provideruser", "providers_location", "providers_invitation", "marketplace_activity"]
    return "providers_provideraccount", dict.fromkeys([*gone, "marketplace_offering"], 0) | {"users_user": 1}


def provider_with_sessions() -> tuple[str, dict[str, int]]:
    SessionFactory()
    gone = ["marketplace_session", "providers_location", "marketplace_activity", "marketplace_offering"]
    return "providers_provideraccount", dict.fromkeys(gone, 0)


def activity() -> tuple[str, dict[str, int]]:
    session = SessionFactory()
    ActivityImage.objects.create(activity=session.activity, content_type="image/png")
    gone = ["marketplace_offering", "marketplace_session", "marketplace_activityimage"]
    return "marketplace_activity", dict.fromkeys(gone, 0) | {"providers_location": 1}


def offering() -> tuple[str, dict[str, int]]:
    SessionFactory()
    return "marketplace_offering", {"marketplace_session": 0, "marketplace_activity": 1}


def conversation() -> tuple[str, dict[str, int]]:
    parent = ParentFactory()
    conversation = Conversation.objects.create(parent=parent, provider=ProviderAccountFactory())
    for number, text in enumerate(("Hello", "Hello?"), start=1):
        message = Message.objects.create(
            conversation=conversation, number=number, sender=parent.user, sender_type="parent", content=text
        )
        AttachmentFactory(conversation=conversation, uploader=parent.user, message=message)
    return "messaging_conversation", {
        "messaging_attachment": 0,
        "messaging_message": 0,
        "users_parent": 1,
        "providers_provideraccount": 1,
    }


def booking() -> tuple[str, dict[str, int]]:
    BookingFactory()
    return "bookings_booking", {"bookings_seat": 0, "marketplace_session": 1, "users_child": 1}


@pytest.mark.parametrize(
    "arrange",
    [user, parent, child, provider, provider_with_sessions, activity, offering, conversation, booking],
    ids=lambda function: function.__name__,
)
def test_what_belongs_to_a_row_goes_with_it_even_by_sql(arrange: Callable[[], tuple[str, dict[str, int]]]):
    rows, left = arrange()
    execute("users_user", f"DELETE FROM {rows}")
    assert {table: count(table) for table in left} == left


@pytest.mark.parametrize(
    "table",
    [
        "users_user",
        "users_parent",
        "users_child",
        "providers_provideraccount",
        "marketplace_activity",
        "marketplace_session",
        "bookings_booking",
        "payments_payment",
        "geography_city",
        "geography_country",
        "marketplace_category",
    ],
)
def test_what_the_books_need_cannot_be_deleted(world, table):
    before = {each: count(each) for each in ("bookings_booking", "bookings_seat", "payments_payment", table)}
    with refused():
        execute(table, f"DELETE FROM {table}")
    assert {each: count(each) for each in before} == before


def test_every_cascade_of_the_models_is_one_of_the_database():
    wanted = {
        (model._meta.db_table, field.column)
        for model in OURS
        for field in model._meta.concrete_fields
        if field.is_relation and field.remote_field.on_delete is models.CASCADE
    }
    found = execute(
        "users_user",
        """
        SELECT conrelid::regclass::text, attname FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE contype = 'f' AND confdeltype = 'c'
        """,
    )
    assert wanted - set(found) == set()
    assert {
        ("users_parent", "user_id"),
        ("users_child", "parent_id"),
        ("messaging_message", "conversation_id"),
    } <= wanted


# --- Defaults -------------------------------------------------------------------------------------------------------


def insert(table: str, returning: str, **values: Any) -> tuple:
    """Inserts a row that names only `values` and gives back what the database made of `returning`."""
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    return execute(table, f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING {returning}", *values.values())[0]


def test_a_plain_insert_gets_the_data_models_defaults(now):
    country = insert("geography_country", "id", code="US", name="USA", currency="USD", region="us")[0]
    city = CityFactory()
    pair = {"name": "X", "slug": "x"}
    assert insert("geography_city", "is_active", country_id=country, timezone="UTC", **pair) == (False,)
    assert insert("geography_locality", "is_active", city_id=city.pk, **pair) == (False,)
    assert insert("geography_country", "is_active", code="IN", name="India", currency="INR", region="in") == (False,)
    assert insert("marketplace_category", "is_active, position", **pair) == (True, 0)
    assert insert("regions_featureflag", "value, description", key="X") == (False, None)
    person = {"auth_id": "a", "home_region": "us", "email": "", "password": "", "is_superuser": False}
    user = insert("users_user", "id, role, is_active, is_staff, country_id", **person)
    assert user[1:] == ("parent", True, False, None)
    parent = insert("users_parent", "id, first_name, last_name, phone", user_id=user[0])
    assert parent[1:] == ("", "", "")
    child = insert("users_child", "id, last_name", parent_id=parent[0], first_name="Mia", birth_date=now.date())
    provider = insert("providers_provideraccount", "id, status, type, verified_at", business_name="X", slug="x")
    assert provider[1:] == ("pending", "business", None)
    place = {"provider_id": provider[0], "name": "X", "address": "X", "city_id": city.pk}
    location = insert("providers_location", "id, is_default", **place)
    assert location[1] is False
    assert insert("providers_provideruser", "role", provider_account_id=provider[0], user_id=user[0]) == ("staff",)
    category = Category.objects.get().pk
    activity = insert(
        "marketplace_activity", "id, status", provider_id=provider[0], title="X", slug="x", category_id=category
    )
    assert activity[1] == "draft"
    price = {"price_cents": 100, "currency": "USD"}
    offering = insert("marketplace_offering", "id, status, type", activity_id=activity[0], **price)
    assert offering[1:] == ("active", "single_session")
    times = {"starts_at": now, "ends_at": now + timedelta(hours=1), "capacity": 1}
    session = insert(
        "marketplace_session",
        "id, status, enrolled",
        activity_id=activity[0],
        offering_id=offering[0],
        location_id=location[0],
        **times,
    )
    assert session[1:] == ("scheduled", 0)
    booking = insert(
        "bookings_booking",
        "id, status, confirmed_at",
        session_id=session[0],
        offering_id=offering[0],
        parent_id=parent[0],
        child_id=child[0],
        expires_at=now,
        amount_cents=100,
        currency="USD",
    )
    assert booking[1:] == ("pending_payment", None)
    payment = insert(
        "payments_payment",
        "id, status, paid_at, needs_review",
        booking_id=booking[0],
        amount_cents=100,
        currency="USD",
        processor="stripe",
        checkout_expires_at=now,
    )
    assert payment[1:] == ("created", None, False)
    pair = {"parent_id": parent[0], "provider_id": provider[0]}
    assert insert("messaging_conversation", "status, last_message_at", **pair) == ("active", None)


def test_every_row_gets_an_id_and_its_times_from_the_database(now):
    row_id, created, updated = insert("regions_appconfig", "id, created_at, updated_at", key="x", value="1")
    assert isinstance(row_id, uuid.UUID)
    assert created == updated
    assert now - timedelta(seconds=1) <= created <= now + timedelta(minutes=1)


def test_our_own_ids_are_time_ordered():
    ids = [ParentFactory().pk for _ in range(5)]
    assert {each.version for each in ids} == {7}
    assert ids == sorted(ids)


def test_ages_may_be_open_on_either_side():
    for ages in ({"age_min": None}, {"age_max": None}, {"age_min": None, "age_max": None}):
        assert ActivityFactory(**ages).pk
