"""Supabase access tokens: which are believed, which are refused, and as what."""

import base64
import hashlib
import hmac
import json
import time
import uuid

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.db import connection
from django.test.utils import CaptureQueriesContext
from jwt.algorithms import RSAAlgorithm

from tests import tokens
from tests.factories import ChildFactory, UserFactory
from users import jwks
from users.models import AccountTombstone, User

pytestmark = pytest.mark.django_db

ME = "/v1/me"
SECRET = "the-legacy-secret-of-a-supabase-project"
STRANGER = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = tokens.KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


@pytest.fixture
def user() -> User:
    return UserFactory(email="ana@example.com")


@pytest.fixture
def keys(settings):
    """A JWKS endpoint of this test's own."""
    endpoint = tokens.JwksServer()
    settings.SUPABASE_JWKS_URL = endpoint.url
    yield endpoint
    endpoint.stop()


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def by_hand(header: dict, claims: dict, *, secret: bytes = b"") -> str:
    """A token that PyJWT would refuse to make."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_good_token_signs_its_user_in(api, user):
    answer = api.as_user(user).get(ME)
    assert (answer.status, answer.data["id"]) == (200, str(user.pk))


def test_an_rs256_token_is_accepted(api, user, keys):
    jwk = {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa", "alg": "RS256", "use": "sig"}
    keys.keys.append(jwk)
    token = tokens.sign(key=RSA_KEY, key_id="rsa", algorithm="RS256", sub=user.auth_id)
    assert api.with_token(token).get(ME).status == 200


def test_the_scheme_is_read_in_any_case_and_with_spare_blanks(api, user):
    token = tokens.sign(sub=user.auth_id)
    assert api.get(ME, Authorization=f"  bEARER   {token}  ").status == 200


def test_a_subject_in_capitals_is_the_same_user(api, user):
    assert api.with_token(tokens.sign(sub=user.auth_id.upper())).get(ME).status == 200


# --- No token ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token abc", "abc", "Bearerabc"])
def test_without_a_bearer_token_it_is_unauthorized(api, header):
    answer = api.get(ME, **({} if header is None else {"Authorization": header}))
    assert answer.code == (401, "UNAUTHORIZED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.error["details"] == []


@pytest.mark.parametrize(
    "value",
    ["abc", "a.b", "a.b.c", "....", "a b", "tökén", "x" * 8193, "x" * 100_000, "null", "{}.{}.{}"],
)
def test_what_is_no_token_is_invalid(api, value):
    answer = api.get(ME, Authorization=f"Bearer {value}")
    assert answer.code == (401, "INVALID_TOKEN")
    assert value not in answer.content.decode()


def test_two_tokens_in_one_header_are_refused(api, user):
    token = tokens.sign(sub=user.auth_id)
    for value in (f"Bearer {token} {token}", f"Bearer {token}, Bearer {token}", f"Bearer {token},{token}"):
        assert api.get(ME, Authorization=value).code == (401, "INVALID_TOKEN")


@pytest.mark.parametrize("payload", ["[" * 3000, '{"a":' * 800, "1", "null", '"text"', "[]", "\ufeff{}"])
def test_a_payload_that_is_no_object_is_invalid(api, payload):
    body = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    token = f"{encoded({'alg': 'ES256', 'kid': tokens.KEY_ID})}.{body}.{encoded('x')}"
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


@pytest.mark.parametrize("header", ["[" * 3000, "[]", "{}", '{"alg": null}', '{"alg": ["ES256"]}', '{"alg": 1}'])
def test_a_header_that_makes_no_sense_is_invalid(api, header):
    head = base64.urlsafe_b64encode(header.encode()).rstrip(b"=").decode()
    token = f"{head}.{encoded(tokens.claims())}.{encoded('x')}"
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


# --- Signatures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_an_unsigned_token_is_refused(api, user, alg):
    token = by_hand({"alg": alg, "kid": tokens.KEY_ID, "typ": "JWT"}, tokens.claims(sub=user.auth_id))
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


@pytest.mark.parametrize("secret", ["", SECRET, PUBLIC_PEM.decode()])
@pytest.mark.parametrize("key_id", [tokens.KEY_ID, None])
def test_hs256_signed_with_the_public_key_is_refused(api, user, settings, secret, key_id):
    if secret != PUBLIC_PEM.decode():  # nobody would set that
        settings.SUPABASE_JWT_SECRET = secret
    header = {"alg": "HS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {})
    token = by_hand(header, tokens.claims(sub=user.auth_id), secret=PUBLIC_PEM)
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


def test_hs256_is_refused_without_its_secret(api, user, settings):
    settings.SUPABASE_JWT_SECRET = ""
    for secret in (SECRET.encode(), b" "):
        token = by_hand({"alg": "HS256", "typ": "JWT"}, tokens.claims(sub=user.auth_id), secret=secret)
        assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


def test_hs256_is_accepted_with_its_secret_and_only_with_that(api, user, settings):
    settings.SUPABASE_JWT_SECRET = SECRET
    good = tokens.sign(key=SECRET, key_id=None, algorithm="HS256", sub=user.auth_id)
    bad = tokens.sign(key=SECRET + "!", key_id=None, algorithm="HS256", sub=user.auth_id)
    other = tokens.sign(key=SECRET * 2, key_id=None, algorithm="HS512", sub=user.auth_id)
    assert api.with_token(good).get(ME).status == 200
    assert api.with_token(bad).get(ME).code == (401, "INVALID_TOKEN")
    assert api.with_token(other).get(ME).code == (401, "INVALID_TOKEN")


def test_another_key_under_a_known_key_id_is_refused(api, user):
    token = tokens.sign(key=STRANGER, sub=user.auth_id)
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


@pytest.mark.parametrize("key_id", ["other-key", None, "../../etc/passwd", "x" * 2000])
def test_an_unknown_or_missing_key_id_is_refused(api, user, key_id):
    token = tokens.sign(key_id=key_id, sub=user.auth_id)
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


def test_the_algorithm_of_another_kind_of_key_is_refused(api, user):
    token = tokens.sign(key=RSA_KEY, algorithm="RS256", sub=user.auth_id)
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


def test_keys_that_the_token_brings_along_are_not_used(api, user):
    own = tokens.public_jwk(STRANGER, "mine")
    headers = {"kid": "mine", "jwk": own, "jku": "http://127.0.0.1:1/jwks.json", "x5u": "http://127.0.0.1:1/"}
    token = jwt.encode(tokens.claims(sub=user.auth_id), STRANGER, "ES256", headers=headers)
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


def test_a_changed_payload_is_refused(api, user):
    head, _, signature = tokens.sign(sub=str(uuid.uuid4())).split(".")
    token = f"{head}.{encoded(tokens.claims(sub=user.auth_id))}.{signature}"
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


# --- Claims --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "aud", "iss"])
def test_a_token_without_a_required_claim_is_refused(api, user, claim):
    token = tokens.sign(**({"sub": user.auth_id} | {claim: None}))
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example/auth/v1"},
        {"iss": ""},
        {"iss": 1},
        {"iss": ["a"]},
        {"iss": {"a": 1}},
        {"aud": "anon"},
        {"aud": []},
        {"aud": 1},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"exp": [1]},
        {"iat": "now"},
        {"nbf": 4_000_000_000},
        {"role": "anon"},
        {"role": "service_role"},
        {"role": "supabase_admin"},
        {"role": None},
        {"role": ["authenticated"]},
        {"role": "Authenticated"},
        {"is_anonymous": True},
        {"is_anonymous": "true"},
        {"client_id": "9b2f"},
        {"client_id": ""},
    ],
    ids=repr,
)
def test_a_token_with_a_wrong_claim_is_refused(api, user, changes):
    token = (
        jwt.encode(
            {name: value for name, value in (tokens.claims(sub=user.auth_id) | changes).items() if value is not None},
            tokens.KEY,
            "ES256",
            headers={"kid": tokens.KEY_ID},
        )
        if not isinstance(changes.get("iss"), int | list | dict)
        else by_hand_es256(tokens.claims(sub=user.auth_id) | changes)
    )
    assert api.with_token(token).get(ME).code == (401, "INVALID_TOKEN")


def by_hand_es256(claims: dict) -> str:
    """Signed with our key, though PyJWT's own encoder refuses such claims."""
    return jwt.api_jws.encode(json.dumps(claims).encode(), tokens.KEY, "ES256", headers={"kid": tokens.KEY_ID})


@pytest.mark.parametrize(
    "subject", ["", "ana", "1", "7b1f6a86-9e5c-4b7a-9d5e", "7b1f6a86-9e5c-4b7a-9d5e-0f4a3f6f0c1g", 7]
)
def test_a_subject_that_is_no_uuid_is_refused(api, subject):
    UserFactory(auth_id=str(subject))
    assert api.with_token(by_hand_es256(tokens.claims() | {"sub": subject})).get(ME).code == (401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({"exp": -29}, True),
        ({"exp": -30}, False),
        ({"exp": -3600}, False),
        ({"iat": 30}, True),
        ({"iat": 31}, False),
        ({"nbf": 30}, True),
        ({"nbf": 31}, False),
    ],
    ids=repr,
)
def test_clocks_may_differ_by_thirty_seconds(api, user, changes, is_good):
    now = int(time.time())
    token = tokens.sign(**{"sub": user.auth_id, "iat": now - 7200, **{k: now + v for k, v in changes.items()}})
    with time_machine.travel(now, tick=False):
        answer = api.with_token(token).get(ME)
    assert answer.status == (200 if is_good else 401)
    assert is_good or answer.error["code"] == "INVALID_TOKEN"


def test_several_audiences_may_include_ours(api, user):
    assert api.with_token(tokens.sign(sub=user.auth_id, aud=["other", "authenticated"])).get(ME).status == 200


# --- Users ---------------------------------------------------------------------------------------------------------


def test_a_valid_token_of_somebody_never_synced_is_told_so(api):
    assert api.with_token(tokens.sign()).get(ME).code == (401, "USER_NOT_FOUND")
    assert User.objects.count() == 0


def test_a_suspended_user_is_told_so(api):
    user = UserFactory(is_active=False)
    assert api.as_user(user).get(ME).code == (403, "ACCOUNT_SUSPENDED")


def test_the_token_of_a_deleted_account_is_invalid(api, now):
    auth_id = str(uuid.uuid4())
    AccountTombstone.bury(auth_id, now=now)
    assert api.with_token(tokens.sign(sub=auth_id)).get(ME).code == (401, "INVALID_TOKEN")


def test_role_and_region_come_from_the_database_not_from_the_token(api, user):
    lies = {"role": "admin", "home_region": "in"}
    answer = api.with_token(tokens.sign(sub=user.auth_id, user_metadata=lies, app_metadata=lies)).get(ME)
    assert (answer.data["role"], answer.data["homeRegion"]) == ("parent", "us")


def test_a_password_is_no_way_in(api, user):
    user.set_password("correct horse")
    user.save()
    basic = base64.b64encode(b"ana@example.com:correct horse").decode()
    assert api.get(ME, Authorization=f"Basic {basic}").code == (401, "UNAUTHORIZED")


def test_the_admins_session_is_no_way_in(api, user):
    api.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert api.get(ME).code == (401, "UNAUTHORIZED")


def test_a_request_looks_its_user_up_once(api):
    child = ChildFactory()
    caller = api.as_user(child.parent.user)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert caller.get("/v1/me/children").meta["total"] == 1
    statements = [query["sql"] for query in queries]
    assert len([sql for sql in statements if 'FROM "users_user"' in sql]) == 1
    assert len(statements) == 3  # user with parent, count, page


def test_a_public_read_does_not_look_at_the_token(api):
    jwks.key_set.cache_clear()
    with CaptureQueriesContext(connection) as queries:
        assert api.get("/v1/countries", Authorization="Bearer rubbish").status == 200
    assert not [query for query in queries if "users_user" in query["sql"]]


# --- The other region's Supabase project ----------------------------------------------------------------------------


@pytest.fixture
def peer(settings):
    """The other region's issuer, whose key signs `peer_token`s."""
    endpoint = tokens.JwksServer()
    endpoint.keys = [tokens.public_jwk(STRANGER, "peer-key")]
    settings.SUPABASE_PEER_ISSUERS = {"https://in.example/auth/v1": endpoint.url}
    yield endpoint
    endpoint.stop()


def peer_token(**changes) -> str:
    return tokens.sign(key=STRANGER, key_id="peer-key", **{"iss": "https://in.example/auth/v1", **changes})


@pytest.mark.parametrize(("method", "path"), [("GET", ME), ("PATCH", ME), ("GET", "/v1/me/bookings")])
def test_a_peers_token_is_sent_to_the_other_region(api, peer, settings, method, path):
    answer = api.with_token(peer_token()).request(method, path, {})
    assert answer.code == (403, "REGION_MISMATCH")
    assert settings.REGION_API_URLS["in"] in answer.error["message"]
    assert answer.error["details"][0]["correctApiUrl"] == settings.REGION_API_URLS["in"]


def test_a_peers_token_is_told_its_region(api, peer, settings):
    answer = api.with_token(peer_token()).get("/v1/me/region")
    assert answer.data == {
        "userHomeRegion": "in",
        "serverRegion": "us",
        "isCorrectRegion": False,
        "correctApiUrl": settings.REGION_API_URLS["in"],
    }


def test_a_peers_token_cannot_sync_and_leaves_no_trace(api, peer):
    answer = api.with_token(peer_token()).post("/v1/auth/sync", {"homeRegion": "us"})
    assert answer.code == (403, "REGION_MISMATCH")
    assert User.objects.count() == 0


def test_a_peers_token_does_not_sign_in_a_user_with_the_same_subject(api, peer, user):
    assert api.with_token(peer_token(sub=user.auth_id)).get(ME).code == (403, "REGION_MISMATCH")


@pytest.mark.parametrize("changes", [{"exp": 1}, {"aud": "anon"}, {"role": "anon"}, {"sub": "ana"}, {"client_id": "x"}])
def test_a_peers_bad_token_is_refused_like_ours(api, peer, changes):
    assert api.with_token(peer_token(**changes)).get("/v1/me/region").code == (401, "INVALID_TOKEN")


def test_neither_issuers_key_signs_for_the_other(api, peer, user):
    as_peer = tokens.sign(iss="https://in.example/auth/v1", sub=user.auth_id)
    as_ours = tokens.sign(key=STRANGER, key_id="peer-key", sub=user.auth_id)
    assert api.with_token(as_peer).get("/v1/me/region").code == (401, "INVALID_TOKEN")
    assert api.with_token(as_ours).get(ME).code == (401, "INVALID_TOKEN")


def test_our_legacy_secret_does_not_sign_for_the_peer(api, peer, settings):
    settings.SUPABASE_JWT_SECRET = SECRET
    token = tokens.sign(key=SECRET, key_id=None, algorithm="HS256", iss="https://in.example/auth/v1")
    assert api.with_token(token).get("/v1/me/region").code == (401, "INVALID_TOKEN")


def test_a_peer_that_is_not_configured_is_a_stranger(api):
    assert api.with_token(peer_token()).get("/v1/me/region").code == (401, "INVALID_TOKEN")


def test_a_peer_out_of_reach_is_unavailable_and_ours_still_works(api, peer, user):
    peer.down = True
    assert api.with_token(peer_token()).get("/v1/me/region").code == (503, "SERVICE_UNAVAILABLE")
    assert api.as_user(user).get(ME).status == 200
