"""GET and PATCH /v1/me/notification-preferences, and unsubscribing by the address in a mail."""

import re

import pytest

from notifications.models import OPTIONAL, Bounce, NotificationKind, NotificationPreference
from notifications.preferences import hash_of, unsubscribe_url
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

PREFERENCES = "/v1/me/notification-preferences"


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def caller(api, user):
    return api.as_user(user)


def off(answer) -> set[str]:
    return {each["kind"] for each in answer.data["kinds"] if not each["email"]}


def change(caller, **choices):
    return caller.patch(PREFERENCES, {"kinds": [{"kind": kind, "email": on} for kind, on in choices.items()]})


def test_everything_is_on_at_first_and_what_is_required_says_so(caller):
    answer = caller.get(PREFERENCES)
    assert answer.status == 200
    assert answer.data["trouble"] is None
    kinds = {each.pop("kind"): each for each in answer.data["kinds"]}
    assert kinds["session_reminder"] == {"title": "Reminder the day before", "email": True, "required": False}
    assert kinds["refund_sent"] == {"title": "Refund sent", "email": True, "required": True}
    assert {kind for kind, each in kinds.items() if not each["required"]} == {
        "session_reminder", "review_prompt", "response_received", "message_received",
    }  # fmt: skip


def test_a_provider_sees_the_kinds_of_providers_too(api):
    kinds = {each["kind"] for each in api.as_user(UserFactory(role="provider")).get(PREFERENCES).data["kinds"]}
    assert kinds == set(NotificationKind)


def test_a_kind_is_switched_off_and_on_again(caller, user):
    assert off(change(caller, session_reminder=False, review_prompt=False)) == {"session_reminder", "review_prompt"}
    assert off(change(caller, review_prompt=True)) == {"session_reminder"}
    assert off(caller.get(PREFERENCES)) == {"session_reminder"}
    assert NotificationPreference.objects.filter(user=user).count() == 2


def test_the_whole_answer_may_be_sent_back(caller):
    kinds = [{key: each[key] for key in ("kind", "email")} for each in caller.get(PREFERENCES).data["kinds"]]
    assert off(caller.patch(PREFERENCES, {"kinds": kinds})) == set()


@pytest.mark.parametrize("kind", sorted(set(NotificationKind) - set(OPTIONAL)))
def test_what_is_required_cannot_be_switched_off(caller, kind):
    answer = change(caller, session_reminder=False, **{kind: False})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [
        {"field": "kinds.1.email", "message": "This kind of mail cannot be switched off."}
    ]
    assert not NotificationPreference.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"kinds": []},
        {"kinds": {}},
        {"kinds": "session_reminder"},
        {"kinds": [{"kind": "session_reminder"}]},
        {"kinds": [{"email": False}]},
        {"kinds": [{"kind": "spam", "email": False}]},
        {"kinds": [{"kind": "session_reminder", "email": "perhaps"}]},
        {"kinds": [{"kind": "session_reminder", "email": None}]},
        {"kinds": [{"kind": "session_reminder", "email": False, "required": False}]},
        {"kinds": [{"kind": "session_reminder", "email": False}] * 2},
        {"kinds": [{"kind": "session_reminder", "email": False}] * 1000},
        {"sessionReminder": False},
    ],
)
def test_a_wrong_body_is_refused(caller, body):
    assert caller.patch(PREFERENCES, body).code == (400, "VALIDATION_ERROR")
    assert not NotificationPreference.objects.exists()


def test_strangers_and_visitors_of_the_other_region_change_nothing(api, user):
    assert api.get(PREFERENCES).code == (401, "UNAUTHORIZED")
    assert change(api.as_user(UserFactory(home_region="in")), review_prompt=False).code == (403, "REGION_MISMATCH")
    assert change(api.as_user(UserFactory()), review_prompt=False).status == 200
    assert off(api.as_user(user).get(PREFERENCES)) == set()


def test_trouble_with_the_address_is_told_until_it_is_another_one(caller, user, now):
    Bounce.objects.create(user=user, email_sha256=hash_of(user.email), reason="hard_bounce", happened_at=now)
    assert caller.get(PREFERENCES).data["trouble"] == "hard_bounce"
    user.email = "new@example.com"
    user.save()
    assert caller.get(PREFERENCES).data["trouble"] is None


# --- Unsubscribing ---------------------------------------------------------------------------------------------------


def path_of(user, kind) -> str:
    url = unsubscribe_url(user.pk, kind)
    assert url.startswith("http://127.0.0.1:5001/v1/notifications/unsubscribe/")
    return url.removeprefix("http://127.0.0.1:5001")


def test_looking_at_the_address_changes_nothing(api, caller, user):
    answer = api.get(path_of(user, "review_prompt"))
    assert answer.data == {"kind": "review_prompt", "title": "Asking for a review", "email": True}
    assert not NotificationPreference.objects.exists()


def test_one_click_of_a_mail_program_stops_this_kind_and_no_other(api, caller, user):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = api.post(path_of(user, "review_prompt"), raw=b"List-Unsubscribe=One-Click", **headers)
    assert (answer.status, answer.data["email"]) == (200, False)
    assert off(caller.get(PREFERENCES)) == {"review_prompt"}
    # Twice does no harm.
    assert api.post(path_of(user, "review_prompt"), raw=b"List-Unsubscribe=One-Click", **headers).status == 200
    assert api.get(path_of(user, "review_prompt")).data["email"] is False


def test_a_browser_gets_a_page_that_asks_and_one_that_thanks(api, caller, user):
    page = api.client.get(path_of(user, "review_prompt"), headers={"Accept": "text/html,*/*"})
    html = page.content.decode()
    assert "text/html" in page["Content-Type"]
    assert re.search(r'<form method="post"><button>', html) and "Asking for a review" in html
    assert (page["Referrer-Policy"], page["Cache-Control"]) == ("no-referrer", "no-store")
    assert user.email not in html
    assert off(caller.get(PREFERENCES)) == set()

    done = api.client.post(path_of(user, "review_prompt"), {}, headers={"Accept": "text/html,*/*"}).content.decode()
    assert "Done" in done and "<form" not in done
    assert off(caller.get(PREFERENCES)) == {"review_prompt"}


@pytest.mark.parametrize("token", ["x", "a:b:c", "%F0%9F%92%A9", "x" * 5000])
def test_a_made_up_address_leads_nowhere(api, token):
    for method in ("GET", "POST"):
        assert api.request(method, f"/v1/notifications/unsubscribe/{token}").code == (404, "NOT_FOUND")


@pytest.mark.parametrize("kind", ["refund_sent", "nothing"])
def test_no_address_switches_off_what_is_required(api, user, kind):
    assert api.post(path_of(user, kind)).code == (404, "NOT_FOUND")
    assert not NotificationPreference.objects.exists()


def test_the_address_of_an_erased_account_leads_nowhere(api, user):
    path = path_of(user, "review_prompt")
    user.delete()
    assert api.post(path).code == (404, "NOT_FOUND")


def test_the_address_says_nothing_of_the_person(user):
    assert user.email not in path_of(user, "review_prompt")
    assert len(path_of(user, "review_prompt")) < 300


def test_two_changes_at_once_both_count(transactional_db, at_once, api):
    user = UserFactory()
    kinds = ["session_reminder", "review_prompt"] * 3
    answers = at_once(lambda kind: change(api.as_user(user), **{kind: False}).status, kinds)
    assert answers == [200] * 6
    assert off(api.as_user(user).get(PREFERENCES)) == {"session_reminder", "review_prompt"}
