"""/v1/me/consents."""

import pytest

from notifications.models import Notification
from tests.factories import ConsentFactory, UserFactory
from users.models import Consent

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
