"""Coming into the admin: two factors, backup codes, the lock after wrong tries, and sessions that end."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from core.tasks import purge_sessions
from tests import tokens
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.conftest import free_port
from tests.factories import UserFactory
from users import second_factor
from users.models import User

pytestmark = pytest.mark.django_db(databases=["default", "global"])
PASSWORD = "a long walk by the sea"
LOGIN, FACTOR = "/admin/login/", "/admin/second-factor/"


@pytest.fixture
def user():
    made = staff(email="ops@juniro.example", is_superuser=True)
    made.set_password(PASSWORD)
    made.save()
    return made


@pytest.fixture
def app(user) -> TOTPDevice:
    """The authenticator app of `user`, set up."""
    return TOTPDevice.objects.create(user=user, name="app")


def code_of(device: TOTPDevice, *, later: int = 0) -> str:
    return f"{totp(device.bin_key, drift=later):06}"


def try_in(
    client: Client | None = None, *, password: str = PASSWORD, code: str = "", email: str = "ops@juniro.example"
):
    client = client or Client()
    return client.post(LOGIN, {"username": email, "password": password, "code": code, "next": "/admin/"})


def is_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


# --- The second factor -----------------------------------------------------------------------------------------------


def test_the_first_sign_in_leads_nowhere_but_to_the_second_factor(user):
    client = Client()
    assert try_in(client).status_code == 302
    for path in ("/admin/", "/admin/users/user/", f"/admin/users/user/{user.pk}/change/", "/admin/password_change/"):
        response = client.get(path)
        assert (response.status_code, response.headers["Location"]) == (302, FACTOR), path
    assert client.post("/admin/regions/featureflag/add/", {"key": "A"}).headers["Location"] == FACTOR

    page = client.get(FACTOR).content.decode()
    device = TOTPDevice.objects.get()
    assert "<svg" in page
    assert second_factor.begin(user) == device  # the same secret when the page is loaded again
    assert client.post(FACTOR, {"code": "000000"}).context["form"].errors["code"]
    assert not is_in(client)
    device.refresh_from_db()
    assert device.confirmed is False


def test_the_app_proves_itself_and_the_backup_codes_are_shown_once(user):
    client = Client()
    try_in(client)
    client.get(FACTOR)
    before = client.session.session_key
    response = client.post(FACTOR, {"code": code_of(TOTPDevice.objects.get())})
    codes = response.context["codes"]
    assert len(set(codes)) == 10
    assert all(code in response.content.decode() for code in codes)
    assert client.session.session_key != before
    assert is_in(client)
    page = client.get(FACTOR).content.decode()
    assert "10 backup codes are left" in page
    assert not [code for code in codes if code in page]
    assert not StaticToken.objects.filter(token__in=[code.replace("-", "") for code in codes]).exists()
    assert LogEntry.objects.get().change_message == "Second factor set up."


def test_password_and_code_are_both_needed(user, app):
    for wrong in (
        {"code": ""},
        {"code": "123456"},
        {"password": "wrong", "code": code_of(app)},
        {"code": "abcde-fghjk"},
    ):
        client = Client()
        response = try_in(client, **wrong)
        assert response.status_code == 200
        assert response.context["form"].non_field_errors() == [
            "E-mail, password and code do not belong together. Each code works once."
        ]
        assert not is_in(client)
        assert FACTOR not in client.get("/admin/").headers["Location"]
        TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    client = Client()
    assert try_in(client, code=code_of(app)).status_code == 302
    assert is_in(client)


def test_a_code_works_once(user, app):
    code = code_of(app)
    assert try_in(code=code).status_code == 302
    assert try_in(code=code).status_code == 200


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
@pytest.mark.parametrize("kind", ["app", "paper"])
def test_of_two_with_one_code_at_the_same_time_one_comes_in(user, app, at_once, kind):
    code = code_of(app) if kind == "app" else second_factor.new_backup_codes(user)[0]
    found = at_once(lambda _: second_factor.verify(user, code), [1, 2, 3, 4])
    assert len([device for device in found if device]) == 1


def test_a_backup_code_opens_once_is_noted_and_few_are_warned_of(user, app, messages_of):
    codes = second_factor.new_backup_codes(user)
    client = Client()
    assert try_in(client, code=codes[0].upper()).status_code == 302
    assert is_in(client)
    assert try_in(code=codes[0]).status_code == 200
    assert LogEntry.objects.get().change_message == "Signed in with a backup code; 9 left."
    StaticToken.objects.filter(pk__in=StaticToken.objects.values("pk")[:6]).delete()
    StaticDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    left = next(code for code in codes if StaticToken.objects.filter(token=second_factor.digest(code.replace("-", ""))))
    client = Client()
    try_in(client, code=left)
    shown = messages_of(client.get("/admin/"))
    assert shown == ["You have 2 backup codes left. Make new ones under Second factor."]


def test_new_backup_codes_need_a_code_and_make_the_old_ones_worthless(user, app):
    old = second_factor.new_backup_codes(user)
    client = signed_in(user)
    assert "codes" not in client.post(FACTOR, {"code": "000000"}).context
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    new = client.post(FACTOR, {"code": code_of(app)}).context["codes"]
    assert second_factor.backup_codes_left(user) == 10
    assert second_factor.verify(user, old[0]) is None
    StaticDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert second_factor.verify(user, new[0]) is not None


def test_another_phone_is_set_up_with_a_code_of_the_old_one(user, app):
    client = signed_in(user)
    assert is_in(client)
    response = client.post(FACTOR, {"code": code_of(app), "replace": ""})
    assert response.headers["Location"] == FACTOR
    assert client.get("/admin/").headers["Location"] == FACTOR
    client.get(FACTOR)
    client.post(FACTOR, {"code": code_of(TOTPDevice.objects.get())})
    assert is_in(client)


def test_in_local_mode_the_password_is_enough(user, settings):
    settings.SECOND_FACTOR = False
    client = Client()
    assert "code" not in client.get(LOGIN).context["form"].fields
    try_in(client)
    assert is_in(client)


def test_an_administrator_resets_a_lost_phone_which_ends_what_was_signed_in_with_it(user, app):
    lost = signed_in(user)
    assert is_in(lost)
    boss = signed_in(staff(is_superuser=True))
    path = f"/admin/users/user/{user.pk}/reset_factor/"
    assert boss.get(path).status_code == 200
    assert second_factor.is_set_up(user)
    boss.post(path, {"apply": "yes", "reason": "Seen in person"})
    assert not second_factor.is_set_up(user)
    assert lost.get("/admin/").headers["Location"].startswith(LOGIN)
    assert LogEntry.objects.get().change_message == "Second factor reset: Seen in person"
    client = Client()
    try_in(client)
    assert client.get("/admin/").headers["Location"] == FACTOR


def test_nobody_resets_their_own_second_factor_or_a_superusers(user, app):
    boss = signed_in(user)
    boss.post(f"/admin/users/user/{user.pk}/reset_factor/", {"apply": "yes", "reason": "x"})
    assert second_factor.is_set_up(user)
    assert signed_in(staff()).post(f"/admin/users/user/{user.pk}/reset_factor/", {"apply": "yes"}).status_code == 403
    assert second_factor.is_set_up(user)


def test_a_single_superuser_gets_in_again_by_a_command(user, app):
    for _ in range(5):
        try_in(password="wrong")
    assert try_in(code=code_of(app)).status_code == 429
    out = StringIO()
    call_command("reset_second_factor", "OPS@juniro.example", stdout=out)
    assert "Done." in out.getvalue()
    client = Client(REMOTE_ADDR="10.0.0.9")
    assert try_in(client).status_code == 302
    assert client.get("/admin/").headers["Location"] == FACTOR
    with pytest.raises(CommandError, match="No member of staff"):
        call_command("reset_second_factor", "nobody@juniro.example")


def test_the_secret_is_on_no_page_of_the_admin(ops, user, app):
    page = ops.get(f"/admin/users/user/{user.pk}/change/").content.decode()
    assert app.key not in page
    for path in ("otp_totp/totpdevice", "otp_static/staticdevice", "axes/accessattempt"):
        assert ops.get(f"/admin/{path}/").status_code == 404


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_pages_that_load_at_the_same_time_show_one_secret_and_leave_one_set_of_codes(user, at_once):
    assert len({device.pk for device in at_once(lambda _: second_factor.begin(user), [1, 2, 3, 4])}) == 1
    at_once(lambda _: second_factor.new_backup_codes(user), [1, 2, 3, 4])
    assert second_factor.backup_codes_left(user) == 10


def test_where_no_code_is_asked_for_the_page_still_shows_what_is_set_up(user, app, settings):
    settings.SECOND_FACTOR = False
    client = Client()
    try_in(client)
    assert "Your second factor is set up" in client.get(FACTOR).content.decode()
    assert is_in(client)


# --- The lock --------------------------------------------------------------------------------------------------------


def test_after_five_wrong_tries_not_even_the_right_password_opens(user, app):
    for email in ("ops@juniro.example", "OPS@juniro.example", "ops@juniro.example ", "Ops@Juniro.example"):
        assert try_in(email=email, password="wrong").status_code == 200
    assert try_in(password="wrong").status_code == 429
    response = try_in(code=code_of(app))
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "900"
    assert "Too many wrong tries." in response.content.decode()
    elsewhere = Client(REMOTE_ADDR="10.0.0.9")
    assert try_in(elsewhere, code=code_of(app)).status_code == 429


def test_wrong_codes_are_counted_like_wrong_passwords(user, app):
    for _ in range(4):
        assert try_in(code="abcde-fghjk").status_code == 200
    assert try_in(code="abcde-fghjk").status_code == 429
    assert try_in(code=code_of(app)).status_code == 429


def test_unknown_names_are_locked_the_same_way(db):
    answers = [try_in(email="nobody@juniro.example").status_code for _ in range(6)]
    assert answers == [200, 200, 200, 200, 429, 429]


def test_one_address_cannot_try_many_names(user):
    answers = [try_in(email=f"ops{n}@juniro.example", password="wrong").status_code for n in range(6)]
    assert answers == [200, 200, 200, 200, 429, 429]


def test_signing_in_forgets_the_wrong_tries(user, app):
    for later in (0, 1):
        for _ in range(4):
            try_in(password="wrong")
        assert try_in(code=code_of(app, later=later)).status_code == 302


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_of_many_wrong_tries_at_the_same_time_five_are_judged(user, at_once, monkeypatch):
    judged = []
    monkeypatch.setattr(User, "check_password", lambda self, given: judged.append(given) or False)
    answers = at_once(
        lambda n: try_in(Client(REMOTE_ADDR=f"10.0.0.{n}"), password="wrong").status_code, list(range(20))
    )
    assert len(judged) == 5
    assert sorted(answers) == [200] * 4 + [429] * 16


def test_without_redis_the_door_stays_shut_and_says_so(user, app, settings):
    dead = settings.CACHES["default"] | {"LOCATION": f"redis://127.0.0.1:{free_port()}/0"}
    inside = signed_in(user)
    settings.CACHES = settings.CACHES | {"default": dead}
    client = Client()
    response = try_in(client, code=code_of(app))
    assert response.status_code == 503
    assert "Nobody can sign in just now" in response.content.decode()
    assert client.get("/admin/").status_code == 302
    assert is_in(inside)


# --- Sessions --------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_idle_and_in_any_case_after_hours(user, now):
    with time_machine.travel(now, tick=False) as clock:
        client = signed_in(user)
        assert is_in(client)
        clock.shift(timedelta(minutes=29))
        assert is_in(client)
        clock.shift(timedelta(minutes=29))
        assert is_in(client)
        clock.shift(timedelta(minutes=30))
        response = client.get("/admin/users/user/?q=x")
        assert response.headers["Location"] == "/admin/login/?next=/admin/users/user/%3Fq%3Dx"
        assert "_auth_user_id" not in client.session

        client = signed_in(user)
        for _ in range(12 * 60 // 20 - 1):
            assert is_in(client)
            clock.shift(timedelta(minutes=20))
        assert is_in(client)
        clock.shift(timedelta(minutes=20))
        assert not is_in(client)


def test_the_session_has_another_name_after_signing_in(user, app):
    client = Client()
    session = client.session
    session["from_before"] = True
    session.save()
    before = session.session_key
    try_in(client, code=code_of(app))
    assert client.session.session_key != before
    planted = Client()
    planted.cookies["sessionid"] = before
    assert not is_in(planted)


def test_a_new_password_ends_all_other_sessions(user):
    one, other = signed_in(user), signed_in(user)
    new = {"old_password": PASSWORD, "new_password1": "another walk 1", "new_password2": "another walk 1"}
    assert one.post("/admin/password_change/", new).status_code == 302
    assert is_in(one)
    assert not is_in(other)


def test_sessions_that_are_over_are_deleted(user, now):
    with time_machine.travel(now, tick=False) as clock:
        signed_in(user)
        clock.shift(timedelta(hours=11))
        fresh = signed_in(user)
        clock.shift(timedelta(hours=2))
        assert purge_sessions() == 1
        assert [each.session_key for each in Session.objects.all()] == [fresh.session.session_key]


def test_a_suspended_member_of_staff_is_out_at_once(user):
    client = signed_in(user)
    assert is_in(client)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not is_in(client)


def test_tokens_open_no_admin_and_the_admins_cookie_no_api(api, user):
    both = UserFactory(email="both@juniro.example", is_staff=True, is_superuser=True)
    token = tokens.sign(sub=both.auth_id, email=both.email)
    assert api.with_token(token).get("/v1/me").status == 200
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"
    for password in (token, ""):
        assert client.post(LOGIN, {"username": both.email, "password": password}).status_code == 200
    assert client.post(LOGIN, {"supabase_token": token}).status_code == 200
    assert client.get("/admin/").status_code == 302
    inside = signed_in(both)
    assert is_in(inside)
    answer = inside.get("/v1/me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")
    answer = inside.post("/v1/me/children", {"firstName": "Mia"}, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")


# --- What pages may load ---------------------------------------------------------------------------------------------


def test_scripts_come_from_here_alone_and_the_api_loads_nothing(client):
    policies = {
        path: client.get(path).headers["Content-Security-Policy"]
        for path in ("/admin/login/", "/v1/docs", "/v1/activities", "/v1/me", "/health", "/nowhere", "/v1/openapi.json")
    }
    admin, docs = policies.pop("/admin/login/"), policies.pop("/v1/docs")
    assert "script-src 'self' 'unsafe-eval';" in admin
    assert "unsafe-eval" not in docs
    assert "default-src 'self';" in docs
    for policy in (admin, docs):
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self' 'unsafe-inline'" not in policy
    assert set(policies.values()) == {"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}


@pytest.mark.parametrize("path", ["/admin/login/", "/v1/activities", "/v1/docs", "/nowhere"])
def test_every_answer_says_how_it_may_be_used(client, path):
    headers = client.get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Permissions-Policy"].startswith("camera=()")


def test_no_script_stands_in_a_page(client):
    page = client.get("/v1/docs").content.decode()
    assert page.count("<script") == page.count("<script src=") == 3
    script = client.get("/v1/docs?script=")
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in script.content.decode()
