"""Access tokens as Supabase makes them, signed with a real ES256 key whose public half a real JWKS endpoint serves."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from jwt.algorithms import ECAlgorithm

KEY = ec.generate_private_key(ec.SECP256R1())
KEY_ID = "test-key"


def public_jwk(key: Any = KEY, key_id: str = KEY_ID) -> dict[str, Any]:
    return {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": key_id, "alg": "ES256", "use": "sig"}


def claims(**changes: Any) -> dict[str, Any]:
    """A good token's claims; a change to None removes the claim."""
    now = int(time.time())
    base = {
        "iss": settings.SUPABASE_JWT_ISSUER,
        "aud": "authenticated",
        "sub": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 3600,
        "role": "authenticated",
        "email": "ana@example.com",
        "session_id": str(uuid.uuid4()),
        "is_anonymous": False,
        "app_metadata": {"provider": "email"},
        "user_metadata": {},
    } | changes
    return {name: value for name, value in base.items() if value is not None}


def sign(*, key: Any = KEY, key_id: str | None = KEY_ID, algorithm: str = "ES256", **changes: Any) -> str:
    headers = {"kid": key_id} if key_id else None
    return jwt.encode(claims(**changes), key, algorithm, headers=headers)


class JwksServer:
    """A JWKS endpoint that counts its calls; `keys` may be changed, `down` makes it answer 503.

    `delay` are seconds that it takes to answer, `body` is sent instead of the keys.
    """

    def __init__(self) -> None:
        self.keys, self.calls, self.down = [public_jwk()], 0, False
        self.delay, self.body = 0.0, b""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.calls += 1
                time.sleep(endpoint.delay)
                body = endpoint.body or json.dumps({"keys": endpoint.keys}).encode()
                self.send_response(503 if endpoint.down else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def serve_jwks() -> Iterator[str]:
    endpoint = JwksServer()
    yield endpoint.url
    endpoint.stop()
