"""DELETE /v1/auth/account: what is settled first, what goes, what stays, and what a crash or an outage leaves."""

import uuid
import zipfile
from datetime import timedelta

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connections, router
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from bookings.models import Booking, CalendarFeed, ReviewReport, Seat
from core.classification import classified_models, personal_columns
from core.errors import InvalidState
from core.models import AuditEntry, IdempotencyKey
from marketplace.models import Activity, ActivityImage, ParentInterest
from messaging.attachments import file_name
from messaging.models import Attachment, Conversation, Message, MessageReport
from notifications.models import Notification, NotificationPreference
from payments.models import Refund, RefundRequest, WebhookEvent
from privacy import erasure, export
from privacy import views as privacy_views
from privacy.models import ErasureRequest, ExportRequest
from privacy.tasks import erase_due
from providers.models import Invitation, ProviderAccount, ProviderUser
from regions import flags
from regions.models import SlugReservation
from regions.services import SlugsOutOfReach
from tests import tokens
from tests.factories import (
    AttachmentFactory,
    BookingFactory,
    CategoryFactory,
    ChildFactory,
    ConsentFactory,
    LocationFactory,
    ParentFactory,
    PaymentFactory,
    ProviderUserFactory,
    ReviewFactory,
    SessionFactory,
    UserFactory,
    in_days,
)
from tests.payments.signed import checkout, post_stripe
from users import supabase
from users.models import AccountTombstone, Child, Parent, User

pytestmark = pytest.mark.django_db(databases=["default", "global"])

ACCOUNT = "/v1/auth/account"
CANARY = "canary7351"


@pytest.fixture
def supabase_user(sandbox, settings) -> str:
    """A user of the sandbox's Supabase."""
    settings.SUPABASE_URL = f"{sandbox.url}/supabase"
    admin = {"apikey": settings.SUPABASE_SERVICE_ROLE_KEY}
    admin["Authorization"] = f"Bearer {settings.SUPABASE_SERVICE_ROLE_KEY}"
    made = requests.post(
        f"{settings.SUPABASE_URL}/auth/v1/admin/users",
        json={"email": f"{uuid.uuid4().hex}@example.com", "password": "long enough 1"},
        headers=admin,
        timeout=10,
    )
    made.raise_for_status()
    return made.json()["id"]


def exists_at_supabase(settings, auth_id) -> bool:
    key = settings.SUPABASE_SERVICE_ROLE_KEY
    found = requests.get(
        f"{settings.SUPABASE_URL}/auth/v1/admin/users/{auth_id}",
        headers={"apikey": key, "Authorization": f"Bearer {key}"},
        timeout=10,
    )
    return found.status_code == 200


@pytest.fixture
def ana(supabase_user) -> User:
    """A parent with something in every table, and a canary in every free text."""
    child = ChildFactory(
        parent__user__auth_id=supabase_user,
        parent__user__email=f"{CANARY}@example.com",
        parent__first_name=CANARY,
        parent__last_name=CANARY,
        parent__phone="+15125557351",
        first_name=CANARY,
        last_name=CANARY,
    )
    user = child.parent.user
    ChildFactory(parent=child.parent, first_name=CANARY)
    ConsentFactory(user=user)
    ParentInterest.objects.create(parent=child.parent, child=child, category=CategoryFactory())
    past = BookingFactory(child=child, status="completed", cancellation_reason=CANARY, session__starts_at=in_days(-9))
    payment = PaymentFactory(
        booking=past, status="paid", checkout_url=f"https://pay.example/{CANARY}", review_note=CANARY
    )
    RefundRequest.objects.create(
        payment=payment, amount_cents=1, currency="USD", reason=CANARY, needs_approval=True, status="declined",
        requested_by=UserFactory(), decided_by=UserFactory(), decided_at=in_days(-1), decision=CANARY,
    )  # fmt: skip
    Refund.objects.create(
        payment=payment, amount_cents=1, currency="USD", reason=CANARY, status="succeeded", processor_refund_id="re_1"
    )
    WebhookEvent.objects.create(
        processor="stripe", event_id="evt_1", body_sha256="1", type="x", payload={"name": CANARY}, payment=payment
    )
    review = ReviewFactory(
        booking=past, comment=CANARY, response=CANARY, responded_at=in_days(-1), status="hidden", hidden_reason=CANARY
    )
    ReviewReport.objects.create(review=review, reporter=ProviderUserFactory().user, reason=CANARY)
    thread = Conversation.objects.create(
        parent=child.parent, provider=past.session.activity.provider, subject=CANARY, booking=past
    )
    message = Message.objects.create(
        conversation=thread, number=1, sender=user, sender_type="parent", content=CANARY, attachments=[{"name": CANARY}]
    )
    for sent in (message, None):
        attachment = AttachmentFactory(conversation=thread, uploader=user, message=sent, name=CANARY)
        default_storage.save(file_name(attachment.pk, attachment.content_type), ContentFile(CANARY.encode()))
    answerer = ProviderUserFactory(provider_account=thread.provider).user
    Message.objects.create(
        conversation=thread, number=2, sender=answerer, sender_type="provider", content=f"Dear {CANARY}"
    )
    MessageReport.objects.create(message=message, reporter=answerer, reason=CANARY, resolution=CANARY, status="upheld")
    Notification.objects.create(user=user, kind="refund_sent", dedupe_key=CANARY)
    NotificationPreference.objects.create(user=user, kind="session_reminder")
    CalendarFeed.objects.create(user=user, token_sha256="t")
    Invitation.objects.create(
        provider_account=thread.provider, email=user.email.upper(), token_sha256="i", expires_at=in_days(7)
    )
    IdempotencyKey.objects.create(
        key=CANARY, user_id=user.pk, method="POST", path="/", body_sha256="b", response=CANARY, expires_at=in_days(1)
    )
    return user


def everything(alias="default") -> str:
    """All rows of all tables as text."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        rows = []
        for table in tables:
            cursor.execute(f"SELECT string_agg({table}::text, E'\\n') FROM {table}")
            rows.append(cursor.fetchone()[0] or "")
    return "\n".join(rows)


def test_nothing_tells_any_more_who_it_was_and_the_books_stay(api, ana, settings):
    assert everything().count(CANARY) > 15
    auth_id = ana.auth_id
    files = [file_name(row.pk, row.content_type) for row in Attachment.objects.all()]
    assert [default_storage.exists(name) for name in files] == [True, True]
    answer = api.as_user(ana).delete(ACCOUNT)
    assert (answer.status, answer.data) == (200, None)

    left = everything()
    assert CANARY.lower() not in left.lower()
    assert "5557351" not in left
    assert [default_storage.exists(name) for name in files] == [False, False]
    assert CANARY not in everything("global")
    # The books: who paid what, without a name.
    booking = Booking.objects.get()
    assert (booking.status, booking.payments.get().status, booking.amount_cents) == ("completed", "paid", 2500)
    assert booking.review.rating == 4
    assert (booking.child.birth_date, booking.child.removed_at is not None) == (None, True)
    assert Child.objects.count() == 1  # the one who was never booked is gone
    user = User.objects.get(pk=ana.pk)
    assert (user.is_active, user.email, user.auth_id) == (False, "", f"erased:{user.pk}")
    assert user.consents.count() == 1
    assert not exists_at_supabase(settings, auth_id)


# Personal columns, or whole tables, in which `ana` has no canary, each with the reason.
ELSEWHERE = {
    "admin.LogEntry": "what ops did: the tests of businesses and of staff",
    "axes.": "never written: wrong tries are counted in Redis, for a quarter of an hour",
    "otp_": "how staff sign in: the test of staff",
    "sessions.": "names the user by id",
    "providers.ProviderAccount": "the tests of businesses",
    "providers.Location": "the tests of businesses",
    "providers.Invitation.nonce": "random",
    "marketplace.SearchRow": "follows the location",
    "marketplace.Session.cancellation_reason": "the provider's word: the tests of businesses",
    "notifications.Bounce.email_sha256": "a hash; the row goes",
    "users.AccountTombstone.auth_id_sha256": "a hash that must stay: no token makes the account anew",
    "payments.Payment.processor_": "ids that the books need; the processor knows whose they are",
    "payments.Refund.processor_": "the same",
    "payments.WebhookEvent.processor_": "the same",
    "privacy.": "made by the erasure itself, or by an export: tests of their own",
    "users.Child.birth_date": "no text; asserted above",
    "users.Parent.phone": "no text; asserted above",
    "users.User": "no text, but for the address; asserted above",
}


def test_ana_has_something_in_every_personal_column(ana):
    """Whoever adds a personal column makes the tests above prove that it is erased, or says why they need not."""
    empty = set()
    for model in classified_models():
        for column in personal_columns(model):
            if router.db_for_write(model) == "default":
                values = model._default_manager.values_list(column, flat=True)
                if not any(CANARY in str(value).lower() for value in values):
                    empty.add(f"{model._meta.label}.{column}")
    assert sorted(each for each in empty if not each.startswith(tuple(ELSEWHERE))) == []
    assert [each for each in ELSEWHERE if not any(column.startswith(each) for column in empty)] == []


def test_the_audit_trail_forgets_the_person_in_the_same_transaction(api, ana, now, monkeypatch):
    other = ParentFactory()
    Parent.objects.filter(pk=other.pk).update(last_name="Other")
    api.as_user(ana).patch("/v1/me", {"firstName": "Other"})
    mine = AuditEntry.objects.filter(actor_id=ana.pk)
    assert mine.get().object_id == str(ana.parent.pk)

    request = erasure.request_erasure(user=ana, now=now)
    with monkeypatch.context() as patched:
        patched.setattr(ErasureRequest, "move", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erasure.erase(request.pk, now=now)
    assert mine.exists()
    assert Parent.objects.get(user=ana).first_name == "Other"

    erasure.erase(request.pk, now=now)
    theirs = [ana.pk, ana.parent.pk, *Booking.objects.values_list("pk", flat=True)]
    assert not AuditEntry.objects.filter(object_id__in=[str(each) for each in theirs]).exists()
    assert not mine.exists()
    assert AuditEntry.objects.get(object_id=str(other.pk)).changes == {"last_name": None}


def test_a_token_that_outlives_the_account_opens_nothing(api, ana):
    caller = api.as_user(ana)
    token = tokens.sign(sub=ana.auth_id, email=ana.email)
    caller.delete(ACCOUNT)
    assert caller.get("/v1/me").code == (401, "INVALID_TOKEN")
    assert caller.delete(ACCOUNT).code == (401, "INVALID_TOKEN")
    again = api.with_token(token).post("/v1/auth/sync", {"home_region": "us"})
    assert again.code == (401, "INVALID_TOKEN")
    assert CANARY not in everything()


def test_bookings_that_lie_ahead_are_cancelled_and_refunded_first(api, supabase_user, now):
    booking = BookingFactory(status="confirmed", child__parent__user__auth_id=supabase_user)
    PaymentFactory(booking=booking, status="paid")
    begun = BookingFactory(child=booking.child, status="confirmed", session__starts_at=in_days(-0.01))
    assert api.as_user(booking.parent.user).delete(ACCOUNT).status == 200
    booking.refresh_from_db()
    begun.refresh_from_db()
    assert (booking.status, begun.status) == ("cancelled", "confirmed")
    assert not Seat.objects.held().filter(booking=booking).exists()
    refund = Refund.objects.get()
    assert (refund.amount_cents, refund.status) == (2500, "pending")


@pytest.mark.parametrize("case", ["open checkout", "under review", "refund on its way"])
def test_with_money_in_flight_the_account_stays(api, case):
    if case == "open checkout":
        payment = PaymentFactory(status="pending")
    else:
        booking = BookingFactory(status="confirmed")
        payment = PaymentFactory(status="paid", booking=booking, needs_review=case == "under review")
    if case == "refund on its way":
        Refund.objects.create(payment=payment, amount_cents=1, currency="USD", reason="x", status="sent")
    user = payment.booking.parent.user
    assert api.as_user(user).delete(ACCOUNT).code == (409, "OPEN_BALANCE")
    user.refresh_from_db()
    assert user.is_active
    assert not ErasureRequest.objects.exists()
    assert not AccountTombstone.objects.exists()


def test_a_grace_period_can_be_used_to_come_back(api, supabase_user, settings, now):
    settings.ERASURE_GRACE_DAYS = 7
    child = ChildFactory(parent__user__auth_id=supabase_user)
    caller = api.as_user(child.parent.user)
    assert caller.post(f"{ACCOUNT}/restore").code == (409, "INVALID_STATE")
    assert caller.delete(ACCOUNT).status == 200
    assert caller.delete(ACCOUNT).status == 200
    request = ErasureRequest.objects.get()
    assert timedelta(days=6.9) < request.next_step_at - now < timedelta(days=7.1)
    assert erasure.take_next_step(request.pk, now=now) is None
    answer = caller.post(f"{ACCOUNT}/restore")
    assert (answer.status, answer.data["status"]) == (200, "cancelled")
    assert erasure.take_next_step(request.pk, now=now + timedelta(days=8)) is None
    child.refresh_from_db()
    assert child.first_name == "Mia"

    caller.delete(ACCOUNT)
    second = ErasureRequest.objects.get(status="requested")
    assert erasure.take_next_step(second.pk, now=now + timedelta(days=8)).status == "erased"
    assert caller.get("/v1/me").code == (401, "INVALID_TOKEN")


def test_with_supabase_down_the_data_goes_at_once_and_the_user_there_later(api, ana, settings, now):
    url, settings.SUPABASE_URL = settings.SUPABASE_URL, "http://127.0.0.1:9"
    auth_id = ana.auth_id
    assert api.as_user(ana).delete(ACCOUNT).status == 200
    request = ErasureRequest.objects.get()
    assert (request.status, request.attempts, request.auth_id) == ("erased", 1, auth_id)
    assert CANARY not in everything()
    settings.SUPABASE_URL = url
    assert exists_at_supabase(settings, auth_id)
    later = now + timedelta(hours=1)
    assert erasure.take_next_step(request.pk, now=later).status == "done"
    assert not exists_at_supabase(settings, auth_id)
    request.refresh_from_db()
    assert (request.auth_id, request.completed_at) == ("", later)
    assert auth_id not in everything()


def test_what_a_request_under_way_still_wrote_goes_with_the_second_look(api, ana, now):
    api.as_user(ana).delete(ACCOUNT)
    request = ErasureRequest.objects.get()
    assert request.status == "erased"
    Parent.objects.filter(user=ana).update(first_name=CANARY)
    assert erasure.take_next_step(request.pk, now=now + timedelta(minutes=1)) is None
    assert erasure.take_next_step(request.pk, now=now + timedelta(minutes=10)).status == "done"
    assert CANARY not in everything()
    assert erasure.take_next_step(request.pk, now=now + timedelta(minutes=20)) is None


def test_a_step_that_fails_is_noted_tried_again_and_no_reason_to_tell_of_an_error(api, ana, now, monkeypatch):
    def full(name):
        raise OSError(f"no space for {CANARY}")

    caller = api.as_user(ana)
    with monkeypatch.context() as patched:
        patched.setattr(default_storage, "delete", full)
        assert caller.delete(ACCOUNT).status == 200
    # The door is closed all the same, and nothing of what is left to do is lost.
    assert caller.get("/v1/me").code == (401, "INVALID_TOKEN")
    request = ErasureRequest.objects.get()
    assert (request.status, request.attempts, request.error) == ("requested", 1, "OSError.")
    assert request.next_step_at > now
    erase_due()
    request.refresh_from_db()
    assert request.status == "requested"
    assert erasure.take_next_step(request.pk, now=request.next_step_at).status == "erased"
    assert CANARY not in everything()


def test_one_erasure_that_fails_does_not_hold_up_the_others(now, monkeypatch):
    first, second = (erasure.request_erasure(user=ChildFactory().parent.user, now=now) for _ in range(2))
    cancel = erasure.cancel_bookings

    def fails_once(user, **given):
        if user.pk == first.user_id:
            raise ConnectionError
        cancel(user, **given)

    monkeypatch.setattr(erasure, "cancel_bookings", fails_once)
    monkeypatch.setattr(supabase, "delete_user", lambda auth_id: None)
    erase_due()
    assert [ErasureRequest.objects.get(pk=each.pk).status for each in (first, second)] == ["requested", "erased"]


@pytest.mark.parametrize("fault", ["open checkout", "business"])
def test_what_would_have_been_refused_puts_off_the_end_of_the_grace_period(api, supabase_user, settings, now, fault):
    settings.ERASURE_GRACE_DAYS = 7
    owner = ProviderUserFactory(user__auth_id=supabase_user)
    caller = api.as_user(owner.user)
    assert caller.delete(ACCOUNT).status == 200
    if fault == "open checkout":
        child = ChildFactory(parent=owner.user.parent)
        trouble = PaymentFactory(status="pending", booking=BookingFactory(child=child))
    else:
        trouble = ProviderUserFactory(provider_account=owner.provider_account, role="admin")
    request, due = ErasureRequest.objects.get(), now + timedelta(days=8)
    erasure.go_on(request.pk, now=due)
    request.refresh_from_db()
    assert (request.status, request.attempts) == ("requested", 1)
    assert request.error.startswith("OpenBalance" if fault == "open checkout" else "LastOwner")
    assert caller.get("/v1/me").status == 200
    trouble.delete()
    erasure.go_on(request.pk, now=due + timedelta(hours=1))
    request.refresh_from_db()
    assert request.status == "erased"
    assert caller.get("/v1/me").code == (401, "INVALID_TOKEN")


def test_an_erasure_that_has_begun_cannot_be_taken_back(ana, now, monkeypatch):
    request = erasure.request_erasure(user=ana, now=now)
    with pytest.raises(InvalidState):
        erasure.cancel_request(user=ana)
    assert ErasureRequest.objects.get() == request


# --- The receipt -----------------------------------------------------------------------------------------------------


def test_a_receipt_is_mailed_before_the_address_is_forgotten(api, ana, mailoutbox):
    answer = api.as_user(ana).delete(ACCOUNT)
    [mail] = mailoutbox
    request = ErasureRequest.objects.get()
    assert mail.to == [f"{CANARY}@example.com"]
    assert mail.subject == "Your Juniro account has been deleted"
    assert str(request.pk) in mail.body
    assert (request.receipt_to, request.receipt_due_at) == ("", None)
    assert CANARY not in everything()
    # Anybody who knows its number can see that it was done, and not whose account it was.
    assert answer.headers["Location"] == f"/v1/erasures/{request.pk}"
    receipt = api.get(answer.headers["Location"])
    assert receipt.status == 200
    assert receipt.headers["Cache-Control"] == "private, no-store"
    assert set(receipt.data) == {"id", "status", "dueAt", "erasedAt", "authDeletedAt", "completedAt", "createdAt"}
    assert (receipt.data["status"], receipt.data["authDeletedAt"] is not None) == ("erased", True)
    assert str(ana.pk) not in receipt.content.decode()
    assert api.get(f"/v1/erasures/{uuid.uuid4()}").code == (404, "NOT_FOUND")


# --- Races and crashes -----------------------------------------------------------------------------------------------


def test_an_archive_that_was_being_made_meanwhile_is_not_kept(ana, now, monkeypatch):
    made = export.request_export(user=ana, now=now)
    save = default_storage.save

    def erased_meanwhile(name, content):
        assert CANARY in zipfile.ZipFile(content).read("juniro.json").decode()
        request = erasure.request_erasure(user=ana, now=now)
        erasure.take_next_step(request.pk, now=now)
        return save(name, content)

    monkeypatch.setattr(default_storage, "save", erased_meanwhile)
    assert export.make_archive(made.pk, now=now) is None
    assert not default_storage.exists(export.archive_name(made.pk))


def test_an_archive_whose_worker_died_after_writing_goes_with_the_second_look(ana, now):
    made = export.request_export(user=ana, now=now)
    request = erasure.request_erasure(user=ana, now=now)
    erasure.take_next_step(request.pk, now=now)
    default_storage.save(export.archive_name(made.pk), ContentFile(CANARY.encode()))
    erasure.take_next_step(request.pk, now=now + timedelta(minutes=10))
    assert not default_storage.exists(export.archive_name(made.pk))
    assert not ExportRequest.objects.exists()


def test_an_archive_that_was_ready_goes_at_once(api, ana, now):
    made = export.request_export(user=ana, now=now)
    export.make_archive(made.pk, now=now)
    made.refresh_from_db()
    link = f"/v1/exports/{privacy_views.SIGNER.sign(str(made.pk))}"
    assert api.client.get(link).status_code == 200
    api.as_user(ana).delete(ACCOUNT)
    assert not default_storage.exists(made.file)
    assert api.get(link).code == (404, "NOT_FOUND")


def test_a_booking_that_slipped_in_is_cancelled_with_the_second_look(ana, now):
    request = erasure.request_erasure(user=ana, now=now)
    erasure.take_next_step(request.pk, now=now)
    slipped = BookingFactory(child=Child.objects.get(), status="confirmed")
    PaymentFactory(booking=slipped, status="paid")
    erasure.take_next_step(request.pk, now=now + timedelta(minutes=10))
    slipped.refresh_from_db()
    assert (slipped.status, slipped.payments.get().refunds.get().status) == ("cancelled", "pending")


def test_a_payment_that_arrives_after_the_end_goes_back(api, ana, now, sandbox):
    """The hold was over, the page was still open, and the parent paid on it."""
    booking = BookingFactory(child=ana.parent.children.first(), status="expired")
    payment = PaymentFactory(booking=booking, status="failed", processor_checkout_id="cs_late")
    api.as_user(ana).delete(ACCOUNT)
    answer = post_stripe(api, checkout(payment))
    assert answer.status == 200
    payment.refresh_from_db()
    booking.refresh_from_db()
    assert (booking.status, payment.status, payment.refunds.get().amount_cents) == ("expired", "paid", 2500)
    assert not Notification.objects.filter(user=ana, status="sent").exists()


def test_nobody_writes_into_the_thread_of_somebody_who_is_gone(api, ana):
    flags.switch("MESSAGING_ENABLED", True)
    thread = Conversation.objects.get()
    answerer = ProviderUser.objects.get(provider_account=thread.provider)
    api.as_user(ana).delete(ACCOUNT)
    answer = api.as_user(answerer.user).post(
        f"/v1/conversations/{thread.pk}/messages", {"content": f"Are you there, {CANARY}?"}
    )
    assert answer.code == (409, "INVALID_STATE")
    assert CANARY not in everything()


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_two_workers_at_once_erase_once(ana, now, at_once):
    request = erasure.request_erasure(user=ana, now=now)
    answers = at_once(lambda _: erasure.take_next_step(request.pk, now=now), [1, 2, 3])
    assert all(each is None or isinstance(each, ErasureRequest) for each in answers)
    assert AccountTombstone.objects.count() == 1
    assert CANARY not in everything()


# --- Businesses ------------------------------------------------------------------------------------------------------


def test_the_last_owner_of_a_business_with_staff_hands_over_first(api):
    owner = ProviderUserFactory()
    ProviderUserFactory(provider_account=owner.provider_account, role="admin")
    assert api.as_user(owner.user).delete(ACCOUNT).code == (409, "LAST_OWNER")
    assert not ErasureRequest.objects.exists()


def test_seats_that_families_hold_keep_a_business_alive(api):
    owner = ProviderUserFactory()
    session = SessionFactory(offering__activity__provider=owner.provider_account)
    BookingFactory(session=session, status="confirmed")
    assert api.as_user(owner.user).delete(ACCOUNT).code == (409, "OPEN_BALANCE")


def test_a_business_ends_with_its_only_owner(api, supabase_user):
    owner = ProviderUserFactory(
        user__auth_id=supabase_user,
        provider_account__type="individual",
        provider_account__business_name=f"Piano with {CANARY}",
        provider_account__email=f"{CANARY}@example.com",
    )
    account = owner.provider_account
    LocationFactory(provider=account, address=f"{CANARY} Street")
    session = SessionFactory(
        offering__activity__provider=account,
        offering__activity__title=f"Piano with {CANARY}",
        offering__activity__slug=f"piano-with-{CANARY}",
        offering__activity__description=f"{CANARY} plays since 1990",
        offering__name=f"{CANARY}'s trial lesson",
        cancellation_reason=f"{CANARY} is ill",
    )
    image = ActivityImage.objects.create(activity=session.activity, content_type="image/jpeg", alt=CANARY)
    default_storage.save(f"images/{image.pk}.jpg", ContentFile(CANARY.encode()))
    earlier = SessionFactory(offering=session.offering, location=session.location, starts_at=in_days(-9))
    past = BookingFactory(session=earlier, status="completed")
    ReviewFactory(booking=past, comment="Lovely", response=f"Thank you, {CANARY}", responded_at=in_days(-1))
    thread = Conversation.objects.create(parent=past.parent, provider=account)
    files = []
    for number, (side, content) in enumerate([("parent", "Hello"), ("provider", f"Yours, {CANARY}")], start=1):
        sender = owner.user if side == "provider" else past.parent.user
        message = Message.objects.create(
            conversation=thread, number=number, sender=sender, sender_type=side, content=content
        )
        name = CANARY if side == "provider" else "Mia.pdf"
        row = AttachmentFactory(conversation=thread, uploader=sender, message=message, name=name)
        files.append(default_storage.save(file_name(row.pk, row.content_type), ContentFile(name.encode())))
    LogEntry.objects.create(
        user=owner.user,
        content_type=ContentType.objects.get_for_model(ProviderAccount),
        object_id=account.pk,
        object_repr=account.business_name,
        change_message=f"Verified: {CANARY} sent papers",
        action_flag=2,
    )
    SlugReservation.objects.create(slug=account.slug, region="us")
    assert api.as_user(owner.user).delete(ACCOUNT).status == 200
    account.refresh_from_db()
    assert (account.status, account.business_name, account.status_reason) == (
        "suspended",
        "Closed provider",
        "Closed by its owner.",
    )
    assert set(Activity.objects.values_list("status", flat=True)) == {"archived"}
    assert api.get("/v1/activities").data == []
    assert CANARY not in everything()
    assert CANARY not in everything("global")
    assert not default_storage.exists(f"images/{image.pk}.jpg")
    assert [default_storage.exists(name) for name in files] == [True, False]
    # The family knows what it was, and keeps its own words.
    past.refresh_from_db()
    assert past.session.activity.title == past.session.activity.category.name
    assert (past.review.comment, thread.messages.get(number=1).content) == ("Lovely", "Hello")
    # The name in the address is free again, in both regions.
    assert not SlugReservation.objects.exists()


def test_a_company_keeps_its_name_and_its_slug(api, supabase_user):
    owner = ProviderUserFactory(user__auth_id=supabase_user)
    account = owner.provider_account
    SlugReservation.objects.create(slug=account.slug, region="us")
    api.as_user(owner.user).delete(ACCOUNT)
    kept = ProviderAccount.objects.get()
    assert (kept.business_name, kept.slug, kept.status) == (account.business_name, account.slug, "suspended")
    assert SlugReservation.objects.count() == 1


def test_without_the_global_layer_a_slug_is_given_back_later(api, supabase_user, now, monkeypatch):
    owner = ProviderUserFactory(user__auth_id=supabase_user, provider_account__type="individual")
    slug = owner.provider_account.slug
    SlugReservation.objects.create(slug=slug, region="us")

    def out_of_reach(slug):
        raise SlugsOutOfReach

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "free_slug", out_of_reach)
        assert api.as_user(owner.user).delete(ACCOUNT).status == 200
    request = ErasureRequest.objects.get()
    assert (request.status, request.slugs, request.auth_id) == ("erased", [slug], "")
    assert SlugReservation.objects.exists()
    erasure.go_on(request.pk, now=now + timedelta(minutes=10))
    request.refresh_from_db()
    assert (request.status, request.slugs) == ("done", [])
    assert not SlugReservation.objects.exists()


def test_a_slug_that_somebody_else_has_by_now_stays_theirs(supabase_user, now):
    owner = ProviderUserFactory(user__auth_id=supabase_user, provider_account__type="individual")
    request = erasure.request_erasure(user=owner.user, now=now)
    erasure.erase(request.pk, now=now)
    slug = ErasureRequest.objects.get().slugs[0]
    # It was given back, the process died before noting that, and somebody was quick.
    ProviderUserFactory(provider_account__slug=slug)
    SlugReservation.objects.create(slug=slug, region="us")
    erasure.go_on(request.pk, now=now)
    assert SlugReservation.objects.get().slug == slug


# --- Staff -----------------------------------------------------------------------------------------------------------


def test_staff_of_the_portal_end_as_well(now, django_user_model, rf):
    staff = django_user_model.objects.create_superuser(f"{CANARY}@juniro.example", "a long password 7")
    staff.groups.add(Group.objects.create(name="Support"))
    LogEntry.objects.create(
        user=staff,
        content_type=ContentType.objects.get_for_model(User),
        object_id=staff.pk,
        object_repr=CANARY,
        change_message=CANARY,
        action_flag=1,
    )
    TOTPDevice.objects.create(user=staff, name=CANARY)
    StaticDevice.objects.create(user=staff, name=CANARY).token_set.create(token="backup1")
    request = erasure.request_erasure(user=staff, now=now)
    erasure.go_on(request.pk, now=now)
    erasure.go_on(request.pk, now=now + timedelta(minutes=10))
    request.refresh_from_db()
    staff.refresh_from_db()
    assert request.status == "done"
    assert (staff.is_staff, staff.is_superuser, staff.is_active) == (False, False, False)
    assert (staff.groups.count(), staff.has_usable_password()) == (0, False)
    left = everything().lower()
    assert (CANARY in left, "backup1" in left) == (False, False)
    known = {"username": f"{CANARY}@juniro.example", "password": "a long password 7"}
    assert authenticate(rf.post("/admin/login/"), **known) is None
    # What they did stays in the history, and tells by an id who it was.
    assert LogEntry.objects.get().user_id == staff.pk


def test_one_of_several_owners_just_leaves(api, supabase_user):
    owner = ProviderUserFactory(user__auth_id=supabase_user)
    other = ProviderUserFactory(provider_account=owner.provider_account)
    assert api.as_user(owner.user).delete(ACCOUNT).status == 200
    assert list(ProviderUser.objects.all()) == [other]
    other.provider_account.refresh_from_db()
    assert other.provider_account.status == "verified"


def test_without_a_token_nothing_is_deleted(api):
    assert api.delete(ACCOUNT).code == (401, "UNAUTHORIZED")
