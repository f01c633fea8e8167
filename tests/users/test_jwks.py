"""Supabase's public keys: when they are fetched, and what happens while that fails."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import InvalidToken, ServiceUnavailable
from tests import tokens
from tests.conftest import free_port
from tests.factories import UserFactory
from users import jwks
from users.jwks import KeySet

NEW_KEY = ec.generate_private_key(ec.SECP256R1())


class Clock:
    """Stands in for the `time` module: `clock.now` is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(jwks, "time", clock)
    return clock


@pytest.fixture
def endpoint():
    endpoint = tokens.JwksServer()
    yield endpoint
    endpoint.stop()


@pytest.fixture
def keys(endpoint) -> KeySet:
    return KeySet(endpoint.url)


def test_nothing_is_fetched_before_a_key_is_asked_for(endpoint, keys):
    assert endpoint.calls == 0


def test_one_fetch_serves_ten_minutes(endpoint, keys, clock):
    for now in (1000, 1001, 1300, 1600):
        clock.now = now
        assert keys.key(tokens.KEY_ID).key_id == tokens.KEY_ID
    assert endpoint.calls == 1


def test_after_ten_minutes_it_is_fetched_again(endpoint, keys, clock):
    keys.key(tokens.KEY_ID)
    clock.now += 601
    keys.key(tokens.KEY_ID)
    keys.key(tokens.KEY_ID)
    assert endpoint.calls == 2


def test_a_withdrawn_key_is_gone_after_ten_minutes(endpoint, keys, clock):
    keys.key(tokens.KEY_ID)
    endpoint.keys = [tokens.public_jwk(NEW_KEY, "new")]
    clock.now += 600
    keys.key(tokens.KEY_ID)
    clock.now += 1
    with pytest.raises(InvalidToken):
        keys.key(tokens.KEY_ID)
    assert keys.key("new").key_id == "new"


def test_an_unknown_key_is_fetched_at_once_if_the_last_try_is_old(endpoint, keys, clock):
    keys.key(tokens.KEY_ID)
    endpoint.keys.append(tokens.public_jwk(NEW_KEY, "new"))
    clock.now += 30
    assert keys.key("new").key_id == "new"
    assert endpoint.calls == 2


def test_unknown_keys_are_fetched_at_most_every_thirty_seconds(endpoint, keys, clock):
    keys.key(tokens.KEY_ID)
    for number in range(60):  # one unknown key a second, for a minute
        clock.now += 1
        with pytest.raises(InvalidToken):
            keys.key(f"invented-{number}")
    assert endpoint.calls == 3


def test_a_project_without_public_keys_is_asked_no_more_often(endpoint, keys, clock):
    endpoint.keys = []
    for _ in range(5):
        with pytest.raises(InvalidToken):
            keys.key(tokens.KEY_ID)
    assert endpoint.calls == 1


def test_while_the_endpoint_is_down_the_last_good_copy_stands(endpoint, keys, clock):
    keys.key(tokens.KEY_ID)
    endpoint.down = True
    for _ in range(10):  # hours
        clock.now += 3600
        assert keys.key(tokens.KEY_ID).key_id == tokens.KEY_ID
    assert endpoint.calls == 11
    endpoint.down, endpoint.keys = False, [tokens.public_jwk(NEW_KEY, "new")]
    clock.now += 30
    with pytest.raises(InvalidToken):
        keys.key(tokens.KEY_ID)


def test_a_down_endpoint_is_tried_at_most_every_thirty_seconds(endpoint, keys, clock):
    keys.key(tokens.KEY_ID)
    endpoint.down = True
    clock.now += 601
    for _ in range(60):
        clock.now += 1
        keys.key(tokens.KEY_ID)
    assert endpoint.calls == 3


@pytest.mark.parametrize(
    "body",
    [b"not json", b"[]", b"null", b"{}", b'{"keys": null}', b'{"keys": 1}', b'{"keys": [1]}', b"\xff\xfe", b"<html>"],
)
def test_rubbish_from_the_endpoint_does_not_replace_the_copy(endpoint, keys, clock, body):
    keys.key(tokens.KEY_ID)
    endpoint.body = body
    clock.now += 601
    assert keys.key(tokens.KEY_ID).key_id == tokens.KEY_ID
    assert endpoint.calls == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "future", "kid": "odd"},
        {"kid": "odd"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "P-256", "kid": "odd", "x": "!", "y": "!"},
        {},
    ],
)
def test_a_key_that_we_cannot_use_does_not_hide_the_others(endpoint, keys, clock, odd):
    endpoint.keys.insert(0, odd)
    assert keys.key(tokens.KEY_ID).key_id == tokens.KEY_ID
    with pytest.raises(InvalidToken):
        keys.key("odd")


def test_with_no_copy_a_dead_endpoint_is_unavailable_not_invalid(clock):
    keys = KeySet(f"http://127.0.0.1:{free_port()}/jwks.json")
    with pytest.raises(ServiceUnavailable) as refusal:
        keys.key(tokens.KEY_ID)
    assert refusal.value.retry_after > 0


def test_with_no_copy_it_is_tried_again_after_a_second(endpoint, keys, clock):
    endpoint.down = True
    for _ in range(5):
        with pytest.raises(ServiceUnavailable):
            keys.key(tokens.KEY_ID)
    assert endpoint.calls == 1
    endpoint.down = False
    clock.now += 1
    assert keys.key(tokens.KEY_ID).key_id == tokens.KEY_ID


def test_holders_of_a_copy_do_not_wait_for_a_slow_endpoint(endpoint, keys, monkeypatch):
    keys.key(tokens.KEY_ID)
    endpoint.delay = 1.0
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0)
    monkeypatch.setattr(jwks, "RETRY_SECONDS", 0)

    def timed(_: int) -> float:
        started = time.perf_counter()
        assert keys.key(tokens.KEY_ID).key_id == tokens.KEY_ID
        return time.perf_counter() - started

    with ThreadPoolExecutor(6) as pool:
        waits = sorted(pool.map(timed, range(6)))
    assert endpoint.calls == 2
    assert waits[4] < 0.5  # five went on at once
    assert waits[5] > 0.9  # and one fetched


def test_those_without_a_copy_share_one_wait_for_an_endpoint_that_hangs(monkeypatch):
    monkeypatch.setattr(jwks, "TIMEOUT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # accepts, and says nothing
        keys = KeySet(f"http://127.0.0.1:{hanging.getsockname()[1]}/jwks.json")

        def ask(_: int) -> type:
            try:
                keys.key(tokens.KEY_ID)
            except ServiceUnavailable as error:
                return type(error)
            return object

        started = time.perf_counter()
        with ThreadPoolExecutor(5) as pool:
            assert list(pool.map(ask, range(5))) == [ServiceUnavailable] * 5
        assert 0.9 < time.perf_counter() - started < 1.9


def test_a_redirect_is_not_followed(endpoint, clock):
    target = endpoint.url.replace("127.0.0.1", "localhost")
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def redirect() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

        answered = pool.submit(redirect)
        with pytest.raises(ServiceUnavailable):
            KeySet(f"http://127.0.0.1:{server.getsockname()[1]}/jwks.json").key(tokens.KEY_ID)
        answered.result(5)
    assert endpoint.calls == 0


# --- Seen through the API -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_without_any_keys_the_api_is_unavailable_and_says_when_to_come_back(api, settings):
    user = UserFactory()
    settings.SUPABASE_JWKS_URL = f"http://127.0.0.1:{free_port()}/jwks.json"
    answer = api.as_user(user).get("/v1/me")
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
    assert "127.0.0.1" not in answer.content.decode()
    assert api.get("/v1/countries").status == 200


@pytest.mark.django_db
def test_a_rotated_key_is_met_without_a_restart(api, settings, endpoint, clock):
    settings.SUPABASE_JWKS_URL = endpoint.url
    user = UserFactory()
    assert api.as_user(user).get("/v1/me").status == 200
    endpoint.keys = [tokens.public_jwk(NEW_KEY, "new"), tokens.public_jwk()]
    clock.now += 31
    new = tokens.sign(key=NEW_KEY, key_id="new", sub=user.auth_id)
    assert api.with_token(new).get("/v1/me").status == 200
    assert api.as_user(user).get("/v1/me").status == 200
    assert endpoint.calls == 2
