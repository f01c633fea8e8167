import json
import time
import uuid

import jwt
import pytest

AUTH = "/supabase/auth/v1"
ADMIN = {"apikey": "service_role_sandbox", "Authorization": "Bearer service_role_sandbox"}


def sign_up(sandbox, **fields):
    email = f"{uuid.uuid4().hex}@example.com"
    status, _, body = sandbox.call("POST", f"{AUTH}/signup", {"email": email, "password": "secret-1"} | fields)
    assert status == 200, body
    return body


def decode(sandbox, token):
    client = jwt.PyJWKClient(f"{sandbox.base}{AUTH}/.well-known/jwks.json")
    return jwt.decode(
        token,
        client.get_signing_key_from_jwt(token),
        algorithms=["ES256"],
        audience="authenticated",
        issuer=f"{sandbox.base}{AUTH}",
        options={"require": ["exp", "iat", "sub", "aud", "iss"]},
    )


def test_signing_up_gives_a_token_that_verifies_by_the_published_key(sandbox):
    session = sign_up(sandbox, data={"name": "Zoë"})

    claims = decode(sandbox, session["access_token"])
    assert session["token_type"] == "bearer"
    assert session["expires_in"] == 3600
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - time.time()) < 5
    assert claims["sub"] == session["user"]["id"] == str(uuid.UUID(claims["sub"]))
    assert claims["email"] == session["user"]["email"]
    assert claims["role"] == "authenticated"
    assert claims["aal"] == "aal1"
    assert claims["phone"] == ""
    assert claims["is_anonymous"] is False
    assert claims["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert claims["user_metadata"] == {"name": "Zoë"}
    assert uuid.UUID(claims["session_id"])
    assert "password" not in session["user"]


def test_the_token_names_its_key_and_the_key_set_holds_nothing_private(sandbox):
    header = jwt.get_unverified_header(sign_up(sandbox)["access_token"])
    (key,) = sandbox.get(f"{AUTH}/.well-known/jwks.json")["keys"]

    assert header == {"alg": "ES256", "kid": key["kid"], "typ": "JWT"}
    assert set(key) == {"kty", "crv", "x", "y", "alg", "kid", "use", "key_ops"}


def test_a_sign_up_without_an_email_makes_an_anonymous_user(sandbox):
    status, _, session = sandbox.call("POST", f"{AUTH}/signup", {})

    claims = decode(sandbox, session["access_token"])
    assert status == 200
    assert (claims["is_anonymous"], claims["email"], claims["role"]) == (True, "", "authenticated")


def test_the_right_password_signs_in_as_the_same_user(sandbox):
    user = sign_up(sandbox)["user"]
    body = {"email": user["email"].upper(), "password": "secret-1"}
    status, _, session = sandbox.call("POST", f"{AUTH}/token?grant_type=password", body)

    assert (status, session["user"]["id"]) == (200, user["id"])


def test_a_wrong_password_and_an_unknown_address_are_answered_alike(sandbox):
    user = sign_up(sandbox)["user"]
    for email in (user["email"], "nobody@example.com"):
        body = {"email": email, "password": "secret-2"}
        status, _, answer = sandbox.call("POST", f"{AUTH}/token?grant_type=password", body)
        assert status == 400
        assert answer == {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}


def test_a_client_that_announces_the_newer_api_gets_its_error_form(sandbox):
    headers = {"X-Supabase-Api-Version": "2024-01-01"}
    body = {"email": "nobody@example.com", "password": "x"}
    _, _, answer = sandbox.call("POST", f"{AUTH}/token?grant_type=password", body, headers)

    assert answer == {"code": "invalid_credentials", "message": "Invalid login credentials"}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"email": "no-address"}, 400, "validation_failed"),
        ({"password": ""}, 400, "validation_failed"),
        ({"password": "short"}, 422, "weak_password"),
    ],
)
def test_a_sign_up_that_makes_no_sense_is_refused(sandbox, fields, status, code):
    body = {"email": f"{uuid.uuid4().hex}@example.com", "password": "secret-1"} | fields
    answered, _, answer = sandbox.call("POST", f"{AUTH}/signup", body)

    assert (answered, answer["error_code"]) == (status, code)


def test_an_address_signs_up_once(sandbox):
    email = sign_up(sandbox)["user"]["email"]
    status, _, answer = sandbox.call("POST", f"{AUTH}/signup", {"email": email, "password": "secret-1"})

    assert (status, answer["error_code"]) == (422, "user_already_exists")


def test_a_refresh_token_works_once_and_keeps_the_session(sandbox):
    first = sign_up(sandbox)
    body = {"refresh_token": first["refresh_token"]}
    status, _, second = sandbox.call("POST", f"{AUTH}/token?grant_type=refresh_token", body)
    again, _, answer = sandbox.call("POST", f"{AUTH}/token?grant_type=refresh_token", body)

    sessions = {decode(sandbox, session["access_token"])["session_id"] for session in (first, second)}
    assert (status, len(sessions)) == (200, 1)
    assert second["refresh_token"] != first["refresh_token"]
    assert (again, answer["error_code"]) == (400, "refresh_token_already_used")


def test_the_user_behind_a_token_is_shown(sandbox):
    session = sign_up(sandbox)

    user = sandbox.get(f"{AUTH}/user", Authorization=f"Bearer {session['access_token']}")
    assert user["id"] == session["user"]["id"]
    assert sandbox.call("GET", f"{AUTH}/user")[0] == 401
    assert sandbox.call("GET", f"{AUTH}/user", headers={"Authorization": "Bearer x.y.z"})[0] == 403


def test_the_service_key_writes_app_metadata_that_the_next_token_carries(sandbox):
    user = sign_up(sandbox)["user"]
    path = f"{AUTH}/admin/users/{user['id']}"
    status, _, changed = sandbox.call("PUT", path, {"app_metadata": {"home_region": "us"}}, ADMIN)

    body = {"email": user["email"], "password": "secret-1"}
    session = sandbox.call("POST", f"{AUTH}/token?grant_type=password", body)[2]
    expected = {"provider": "email", "providers": ["email"], "home_region": "us"}
    assert (status, changed["app_metadata"]) == (200, expected)
    assert decode(sandbox, session["access_token"])["app_metadata"] == expected


def test_deleting_a_user_ends_the_sign_in_but_not_the_token(sandbox):
    session = sign_up(sandbox)
    path = f"{AUTH}/admin/users/{session['user']['id']}"

    assert sandbox.call("DELETE", path, headers=ADMIN)[::2] == (200, {})
    assert sandbox.call("DELETE", path, headers=ADMIN)[0] == 404
    body = {"email": session["user"]["email"], "password": "secret-1"}
    assert sandbox.call("POST", f"{AUTH}/token?grant_type=password", body)[0] == 400
    assert decode(sandbox, session["access_token"])["sub"] == session["user"]["id"]


def test_the_admin_list_shows_the_newest_first(sandbox):
    user = sign_up(sandbox)["user"]
    answer = sandbox.call("GET", f"{AUTH}/admin/users?page=1&per_page=1", headers=ADMIN)[2]

    assert [found["id"] for found in answer["users"]] == [user["id"]]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_without_the_service_key_in_both_headers_nothing_is_changed(sandbox, method):
    user = sign_up(sandbox)["user"]
    path = f"{AUTH}/admin/users/{user['id']}"
    half = {"Authorization": ADMIN["Authorization"]}
    wrong = ADMIN | {"apikey": "service_role"}

    assert [sandbox.call(method, path, {}, headers)[0] for headers in ({}, half, wrong)] == [401, 401, 401]
    assert sandbox.call("GET", path, headers=ADMIN)[2]["app_metadata"] == {"provider": "email", "providers": ["email"]}


def test_an_unknown_user_is_404(sandbox):
    path = f"{AUTH}/admin/users/{uuid.uuid4()}"

    assert sandbox.call("PUT", path, {"app_metadata": {}}, ADMIN)[0] == 404
    assert sandbox.call("DELETE", path, headers=ADMIN)[0] == 404
    assert sandbox.call("DELETE", f"{AUTH}/admin/users/me", headers=ADMIN)[0] == 404


def test_a_body_that_is_no_json_is_refused_and_curls_content_type_is_not(sandbox):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = json.dumps({"email": f"{uuid.uuid4().hex}@example.com", "password": "secret-1"}).encode()

    assert sandbox.call("POST", f"{AUTH}/signup", b"email=x")[0] == 400
    assert sandbox.call("POST", f"{AUTH}/signup", body, form)[2]["user"]["is_anonymous"] is False


def test_supabase_can_be_down(sandbox):
    sandbox.faults(supabase="down")

    assert sandbox.call("GET", f"{AUTH}/.well-known/jwks.json")[0] == 503
    sandbox.faults(supabase="up")
    assert sandbox.call("GET", f"{AUTH}/.well-known/jwks.json")[0] == 200
