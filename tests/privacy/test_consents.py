"""/v1/me/consents."""

import threading
import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from notifications import preferences
from notifications.models import Notification
from privacy import consents
from tests.factories import BookingFactory, ChildFactory, ConsentFactory, ProviderUserFactory, UserFactory, in_days
from users import services
from users.models import Child, Consent, User

pytestmark = pytest.mark.django_db

CONSENTS = "/v1/me/consents"
YES = {"kind": "child_data", "version": "2026-01", "granted": True}


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def caller(api, user):
    return api.as_user(user)


@pytest.mark.parametrize("kind", ["terms", "privacy", "child_data", "marketing"])
@pytest.mark.parametrize("granted", [True, False])
def test_a_decision_is_written_down(caller, user, kind, granted):
    answer = caller.post(CONSENTS, YES | {"kind": kind, "granted": granted})
    assert answer.status == 201
    consent = Consent.objects.get()
    assert answer.data == {
        "id": str(consent.pk),
        "kind": kind,
        "version": "2026-01",
        "granted": granted,
        "childId": None,
        "createdAt": consent.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert consent.user == user


def test_the_history_grows_and_the_latest_word_counts(caller, user):
    for granted in (True, False, True, False):
        caller.post(CONSENTS, YES | {"granted": granted})
    answer = caller.get(CONSENTS)
    assert [each["granted"] for each in answer.data] == [False, True, False, True]
    assert answer.meta == {"page": 1, "limit": 20, "total": 4}
    assert not Consent.objects.is_granted(user=user, kind="child_data")


def test_each_decision_has_its_receipt(caller, user):
    for granted in (True, False):
        caller.post(CONSENTS, YES | {"granted": granted})
    receipts = Notification.objects.filter(user=user, kind="consent_receipt").values_list("subject_id", flat=True)
    assert list(receipts.order_by("pk")) == list(Consent.objects.order_by("pk").values_list("pk", flat=True))
    shown = caller.get("/v1/me/notifications").data
    assert [each["title"] for each in shown] == ["Your consent is taken back", "Your consent"]


def test_a_refused_decision_has_none(caller):
    caller.post(CONSENTS, YES | {"kind": "cookies"})
    assert not Notification.objects.exists()


def test_kinds_do_not_speak_for_each_other(caller, user):
    caller.post(CONSENTS, YES | {"kind": "terms"})
    assert Consent.objects.is_granted(user=user, kind="terms")
    assert not Consent.objects.is_granted(user=user, kind="child_data")


def test_a_strangers_history_is_not_shown(caller):
    ConsentFactory()
    assert caller.get(CONSENTS).data == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_history_cannot_be_changed(caller, user, method):
    consent = ConsentFactory(user=user)
    answer = caller.request(method, CONSENTS, YES | {"granted": False})
    assert answer.code == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert caller.request(method, f"{CONSENTS}/{consent.pk}", {}).code == (404, "NOT_FOUND")
    assert Consent.objects.get().granted is True


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "cookies"}, "kind"),
        ({"kind": None}, "kind"),
        ({"kind": ["terms"]}, "kind"),
        ({"version": ""}, "version"),
        ({"version": None}, "version"),
        ({"version": "x" * 51}, "version"),
        ({"granted": None}, "granted"),
        ({"granted": "maybe"}, "granted"),
        ({"granted": []}, "granted"),
        ({"userId": "019b76da-a815-7000-a6a5-4dd67170151d"}, "userId"),
        ({"createdAt": "2020-01-01T00:00:00Z"}, "createdAt"),
    ],
    ids=repr,
)
def test_a_bad_decision_is_refused(caller, changes, field):
    answer = caller.post(CONSENTS, YES | changes)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in answer.error["details"]] == [field]
    assert Consent.objects.count() == 0


@pytest.mark.parametrize("missing", ["kind", "version", "granted"])
def test_a_missing_field_is_named(caller, missing):
    answer = caller.post(CONSENTS, {key: value for key, value in YES.items() if key != missing})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": missing, "message": "This field is required."}]
    assert Consent.objects.count() == 0


# --- For one child ---------------------------------------------------------------------------------------------------


@pytest.fixture
def mia(user):
    ConsentFactory(user=user)
    return ChildFactory(parent=user.parent)


def shown(user, child) -> bool:
    return Consent.objects.is_granted(user=user, kind="child_data", child=child)


def test_a_word_about_one_child_is_about_no_other(caller, user, mia):
    leo = ChildFactory(parent=user.parent, first_name="Leo")
    answer = caller.post(CONSENTS, YES | {"granted": False, "childId": str(mia.pk)})
    assert (answer.status, answer.data["childId"]) == (201, str(mia.pk))
    assert (shown(user, mia), shown(user, leo)) == (False, True)
    assert Consent.objects.is_granted(user=user, kind="child_data")
    caller.post(CONSENTS, YES | {"granted": False})
    assert (shown(user, mia), shown(user, leo)) == (False, False)
    caller.post(CONSENTS, YES | {"childId": str(leo.pk)})
    assert (shown(user, mia), shown(user, leo)) == (False, True)
    caller.post(CONSENTS, YES)
    assert (shown(user, mia), shown(user, leo)) == (True, True)


def test_a_word_about_one_child_is_no_leave_to_store_another(caller, user, mia):
    caller.post(CONSENTS, YES | {"granted": False})
    caller.post(CONSENTS, YES | {"childId": str(mia.pk)})
    body = {"firstName": "Leo", "birthDate": "2019-05-01"}
    assert caller.post("/v1/me/children", body).code == (403, "CONSENT_REQUIRED")
    assert list(Child.objects.all()) == [mia]


@pytest.mark.parametrize("whose", ["a stranger's", "nobody's", "a removed one"])
def test_only_ones_own_children_can_be_spoken_of(caller, user, mia, whose):
    child_id = {
        "a stranger's": lambda: ChildFactory().pk,
        "nobody's": uuid.uuid4,
        "a removed one": lambda: ChildFactory(parent=user.parent, removed_at=timezone.now()).pk,
    }[whose]()
    answer = caller.post(CONSENTS, YES | {"childId": str(child_id)})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": "childId", "message": "You have no such child."}]
    assert Consent.objects.count() == 1


def test_marketing_is_about_no_child_and_cookies_are_no_kind(caller, mia):
    answer = caller.post(CONSENTS, YES | {"kind": "marketing", "childId": str(mia.pk)})
    assert [each["field"] for each in answer.error["details"]] == ["childId"]
    for about in ({"kind": "marketing", "child": mia}, {"kind": "cookies"}):
        with pytest.raises(IntegrityError, match=r"consent_(of_a_child|kind_allowed)"), transaction.atomic():
            Consent.objects.create(user=mia.parent.user, version="1", granted=True, **about)


def test_the_receipt_names_no_child(caller, mia, mailoutbox):
    caller.post(CONSENTS, YES | {"granted": False, "childId": str(mia.pk)})
    [receipt] = caller.get("/v1/me/notifications").data
    assert receipt["text"] == "You took back your consent to storing data of one of your children."


def test_the_word_stays_when_its_child_is_gone(caller, user, mia):
    caller.post(CONSENTS, YES | {"granted": False, "childId": str(mia.pk)})
    assert caller.delete(f"/v1/me/children/{mia.pk}").status == 200
    assert not Child.objects.exists()
    assert [each["childId"] for each in caller.get(CONSENTS).data] == [str(mia.pk), None]
    assert [each["childId"] for each in caller.get("/v1/me/export").data["consents"]] == [None, str(mia.pk)]


# --- What a withdrawal does ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("for_one", [True, False], ids=["this child", "all children"])
def test_a_withdrawal_hides_the_child_from_the_provider_until_it_is_taken_back(api, caller, user, mia, for_one):
    booking = BookingFactory(child=mia, status="confirmed", session__starts_at=in_days(0.5))
    account = booking.session.activity.provider
    staff = api.as_user(ProviderUserFactory(provider_account=account).user)
    about = {"childId": str(mia.pk)} if for_one else {}

    def seen() -> tuple:
        [seat] = staff.get(f"/v1/provider/sessions/{booking.session_id}/roster").data["seats"]
        file = staff.client.get(
            f"/v1/provider/sessions/{booking.session_id}/roster?format=csv", headers=staff.headers
        ).content
        [row] = staff.get("/v1/provider/bookings").data
        return seat["child"] and seat["child"]["firstName"], row["initials"], b"Mia" in file

    assert seen() == ("Mia", "M. L.", True)
    caller.post(CONSENTS, YES | about | {"granted": False})
    assert seen() == (None, None, False)
    assert caller.get("/v1/me/children").data[0]["firstName"] == "Mia"
    caller.post(CONSENTS, YES | about)
    assert seen() == ("Mia", "M. L.", True)


def test_after_a_withdrawal_a_child_is_not_changed_but_can_be_removed(caller, mia):
    caller.post(CONSENTS, YES | {"granted": False, "childId": str(mia.pk)})
    assert caller.patch(f"/v1/me/children/{mia.pk}", {"lastName": "New"}).code == (403, "CONSENT_REQUIRED")
    mia.refresh_from_db()
    assert mia.last_name == "Lopez"
    assert caller.delete(f"/v1/me/children/{mia.pk}").status == 200


def test_who_wants_no_marketing_gets_none_from_that_moment(caller, user):
    assert preferences.why_silent(user, "review_prompt") == ""
    caller.post(CONSENTS, YES | {"kind": "marketing", "granted": False})
    assert preferences.why_silent(user, "review_prompt") == "The user wants no marketing."
    assert preferences.why_silent(user, "session_reminder") == ""
    caller.post(CONSENTS, YES | {"kind": "marketing"})
    assert preferences.why_silent(user, "review_prompt") == ""


# --- The database has the last word ----------------------------------------------------------------------------------


def test_nobody_changes_or_deletes_what_was_said(user):
    consent = ConsentFactory(user=user)
    for statement in ("UPDATE users_consent SET granted = false", "DELETE FROM users_consent"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert Consent.objects.get() == consent
    User.objects.filter(pk=user.pk).update(auth_id=f"erased:{user.pk}")
    assert Consent.objects.all().delete()[0] == 1


# --- At once ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def both(user, monkeypatch, at_once):
    """A child is stored and the consent taken back at the same moment; in which order they came to be."""
    ConsentFactory(user=user)
    said_yes, withdrawn, order = threading.Event(), threading.Event(), []
    is_granted = Consent.objects.is_granted

    def slowly(**about):
        answer = is_granted(**about)
        said_yes.set()
        withdrawn.wait(1)
        return answer

    def go(stores: bool) -> None:
        if stores:
            services.add_child(parent=user.parent, first_name="Mia", birth_date="2018-05-01")
            order.append("stored")
        else:
            said_yes.wait(5)
            consents.decide(user=user, kind="child_data", version="1", granted=False, now=timezone.now())
            withdrawn.set()
            order.append("withdrawn")

    def run() -> list[str]:
        with monkeypatch.context() as patched:
            patched.setattr(Consent.objects, "is_granted", slowly)
            assert at_once(go, [True, False]) == [None, None]
        return order

    return run


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_no_child_is_stored_after_the_consent_is_taken_back(both):
    assert both() == ["stored", "withdrawn"]


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_without_the_lock_one_would_be(both, monkeypatch):
    for module in (services, consents):
        monkeypatch.setattr(module, "lock_consents", lambda user: None)
    assert both() == ["withdrawn", "stored"]
