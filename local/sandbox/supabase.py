"""Supabase Auth as a client and a verifying server see it: sign-up, tokens, JWKS and the admin's users."""

import hashlib
import hmac
import json
import re
import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from .faults import Faults
from .settings import Settings
from .state import Doc, State

PREFIX = "/supabase/auth/v1"
LIFETIME = 3600


class AuthError(Exception):
    """An error in Supabase's words: HTTP status, its `error_code` and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Supabase:
    """One project's Auth API; its ES256 key lives as long as this object."""

    def __init__(self, settings: Settings, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._service_key = settings.supabase_service_role_key
        self._issuer = settings.base_url + PREFIX
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = str(uuid.uuid4())
        self._routes = Map(
            [
                Rule(f"{PREFIX}/signup", methods=["POST"], endpoint=self._signup),
                Rule(f"{PREFIX}/token", methods=["POST"], endpoint=self._token),
                Rule(f"{PREFIX}/logout", methods=["POST"], endpoint=self._logout),
                Rule(f"{PREFIX}/user", methods=["GET"], endpoint=self._user),
                Rule(f"{PREFIX}/.well-known/jwks.json", methods=["GET"], endpoint=self._jwks),
                Rule(f"{PREFIX}/admin/users", methods=["GET"], endpoint=self._admin_list),
                Rule(f"{PREFIX}/admin/users", methods=["POST"], endpoint=self._admin_create),
                Rule(f"{PREFIX}/admin/users/<user_id>", methods=["GET"], endpoint=self._admin_get),
                Rule(f"{PREFIX}/admin/users/<user_id>", methods=["PUT"], endpoint=self._admin_update),
                Rule(f"{PREFIX}/admin/users/<user_id>", methods=["DELETE"], endpoint=self._admin_delete),
            ]
        )

    def __call__(self, request: Request) -> Response:
        response = self._respond(request)
        # supabase-js calls from a page on another local port.
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Headers"] = "*, Authorization"
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE"
        return response

    def _respond(self, request: Request) -> Response:
        if self._faults["supabase"] == "down":
            return Response("upstream connect error", 503)
        if request.method == "OPTIONS":
            return Response(status=204)
        try:
            endpoint, args = self._routes.bind_to_environ(request.environ).match()
            with self._state.writing():
                status, body = endpoint(request, **args)
        except AuthError as error:
            status, body = error.status, _error_body(request, error)
        except HTTPException as error:
            status, body = error.code or 404, {"message": "no Route matched with those values"}
        return Response("" if body is None else json.dumps(body), status, mimetype="application/json")

    # What a visitor may do

    def _signup(self, request: Request) -> tuple[int, Doc]:
        data = _json(request)
        if not data.get("email"):
            user = self._create(email="", password=None, data=data.get("data"), anonymous=True)
        else:
            user = self._create(email=data["email"], password=data.get("password"), data=data.get("data"))
        return 200, self._session(user)

    def _token(self, request: Request) -> tuple[int, Doc]:
        data = _json(request)
        grant = request.args.get("grant_type")
        if grant == "password":
            user = self._by_email(str(data.get("email", "")))
            if user is None or not _matches(str(data.get("password", "")), user["password"]):
                raise AuthError(400, "invalid_credentials", "Invalid login credentials")
            return 200, self._session(user)
        if grant == "refresh_token":
            return 200, self._refresh(str(data.get("refresh_token", "")))
        raise AuthError(400, "validation_failed", "unsupported_grant_type")

    def _refresh(self, token: str) -> Doc:
        kept = self._state.get("refresh_token", token)
        user = self._state.get("user", kept["user_id"]) if kept else None
        if kept is None or user is None:
            raise AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        if kept["used"]:
            raise AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        self._state.put("refresh_token", token, kept | {"used": True})
        return self._session(user, kept["session_id"])

    def _logout(self, request: Request) -> tuple[int, None]:
        user, claims = self._bearer(request)
        for token in self._state.all("refresh_token", user_id=user["id"]):
            if request.args.get("scope", "global") == "global" or token["session_id"] == claims["session_id"]:
                self._state.delete("refresh_token", token["id"])
        return 204, None

    def _user(self, request: Request) -> tuple[int, Doc]:
        return 200, _public(self._bearer(request)[0])

    def _jwks(self, request: Request) -> tuple[int, Doc]:
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        return 200, {"keys": [public | {"alg": "ES256", "kid": self._kid, "use": "sig", "key_ops": ["verify"]}]}

    # What the service key may do

    def _admin_list(self, request: Request) -> tuple[int, Doc]:
        self._admin(request)
        page, size = _number(request, "page", 1), _number(request, "per_page", 50)
        users = self._state.all("user")[::-1][(page - 1) * size : page * size]
        return 200, {"users": [_public(user) for user in users], "aud": "authenticated"}

    def _admin_create(self, request: Request) -> tuple[int, Doc]:
        self._admin(request)
        data = _json(request)
        user = self._create(email=data.get("email"), password=data.get("password"), data=data.get("user_metadata"))
        return 200, _public(self._change(user, data.get("app_metadata")))

    def _admin_get(self, request: Request, user_id: str) -> tuple[int, Doc]:
        return 200, _public(self._admin_user(request, user_id))

    def _admin_update(self, request: Request, user_id: str) -> tuple[int, Doc]:
        user = self._admin_user(request, user_id)
        return 200, _public(self._change(user, _json(request).get("app_metadata")))

    def _admin_delete(self, request: Request, user_id: str) -> tuple[int, Doc]:
        user = self._admin_user(request, user_id)
        self._state.delete("user", user["id"])
        for token in self._state.all("refresh_token", user_id=user["id"]):
            self._state.delete("refresh_token", token["id"])
        return 200, {}

    def _admin(self, request: Request) -> None:
        keys = (request.headers.get("apikey", ""), request.headers.get("Authorization", "").removeprefix("Bearer "))
        if not all(hmac.compare_digest(key.encode(), self._service_key.encode()) for key in keys):
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")

    def _admin_user(self, request: Request, user_id: str) -> Doc:
        self._admin(request)
        try:
            user = self._state.get("user", str(uuid.UUID(user_id)))
        except ValueError:
            raise AuthError(404, "validation_failed", "user_id must be an UUID") from None
        if user is None:
            raise AuthError(404, "user_not_found", "User not found")
        return user

    # Users and their sessions

    def _create(self, *, email: Any, password: Any, data: Any, anonymous: bool = False) -> Doc:
        if not anonymous:
            if not isinstance(email, str) or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
                raise AuthError(400, "validation_failed", "Unable to validate email address: invalid format")
            if not isinstance(password, str) or not password:
                raise AuthError(400, "validation_failed", "Signup requires a valid password")
            if len(password) < 6:
                raise AuthError(422, "weak_password", "Password should be at least 6 characters.")
            if self._by_email(email):
                raise AuthError(422, "user_already_exists", "User already registered")
        now = _now()
        user = {
            "id": str(uuid.uuid4()),
            "aud": "authenticated",
            "role": "authenticated",
            "email": email.lower(),
            "phone": "",
            "app_metadata": {} if anonymous else {"provider": "email", "providers": ["email"]},
            "user_metadata": data if isinstance(data, dict) else {},
            "identities": [],
            "created_at": now,
            "updated_at": now,
            "is_anonymous": anonymous,
            "password": None if anonymous else _hash(password, secrets.token_hex(8)),
        }
        if not anonymous:
            user |= {"email_confirmed_at": now, "confirmed_at": now}
        return self._state.put("user", user["id"], user)

    def _change(self, user: Doc, app_metadata: Any) -> Doc:
        """Merges into `app_metadata`, where null removes a key."""
        merged = user["app_metadata"] | (app_metadata if isinstance(app_metadata, dict) else {})
        kept = {name: value for name, value in merged.items() if value is not None}
        return self._state.put("user", user["id"], user | {"app_metadata": kept, "updated_at": _now()})

    def _by_email(self, email: str) -> Doc | None:
        found = self._state.all("user", email=email.lower(), is_anonymous=False)
        return found[0] if found else None

    def _session(self, user: Doc, session_id: str | None = None) -> Doc:
        now = int(time.time())
        session_id = session_id or str(uuid.uuid4())
        user = self._state.put("user", user["id"], user | {"last_sign_in_at": _now()})
        claims = {
            "iss": self._issuer,
            "sub": user["id"],
            "aud": "authenticated",
            "exp": now + LIFETIME,
            "iat": now,
            "email": user["email"],
            "phone": user["phone"],
            "app_metadata": user["app_metadata"],
            "user_metadata": user["user_metadata"],
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "anonymous" if user["is_anonymous"] else "password", "timestamp": now}],
            "session_id": session_id,
            "is_anonymous": user["is_anonymous"],
        }
        refresh = secrets.token_urlsafe(9)
        kept = {"id": refresh, "user_id": user["id"], "session_id": session_id, "used": False}
        self._state.put("refresh_token", refresh, kept)
        return {
            "access_token": jwt.encode(claims, self._key, "ES256", headers={"kid": self._kid}),
            "token_type": "bearer",
            "expires_in": LIFETIME,
            "expires_at": now + LIFETIME,
            "refresh_token": refresh,
            "user": _public(user),
        }

    def _bearer(self, request: Request) -> tuple[Doc, Doc]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            claims = jwt.decode(token, self._key.public_key(), ["ES256"], audience="authenticated", issuer=self._issuer)
        except jwt.PyJWTError as error:
            raise AuthError(403, "bad_jwt", f"invalid JWT: unable to parse or verify signature, {error}") from None
        user = self._state.get("user", claims["sub"])
        if user is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        return user, claims


def _json(request: Request) -> Doc:
    try:
        data = json.loads(request.get_data() or b"{}")
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise AuthError(400, "bad_json", "Could not parse request body as JSON")
    return data


def _error_body(request: Request, error: AuthError) -> Doc:
    # Clients since 2024 announce the newer form by this header; without it the older one is sent.
    if request.headers.get("X-Supabase-Api-Version", "") >= "2024-01-01":
        return {"code": error.code, "message": error.message}
    return {"code": error.status, "error_code": error.code, "msg": error.message}


def _number(request: Request, name: str, default: int) -> int:
    return max(1, request.args.get(name, default, type=int))


def _public(user: Doc) -> Doc:
    return {name: value for name, value in user.items() if name != "password"}


def _hash(password: str, salt: str) -> str:
    # Cheap on purpose: the accounts are invented, and load runs make thousands of them.
    return f"{salt}${hashlib.pbkdf2_hmac('sha256', password.encode(), salt.encode(), 1000).hex()}"


def _matches(password: str, kept: str | None) -> bool:
    return bool(kept) and hmac.compare_digest(_hash(password, str(kept).partition("$")[0]), str(kept))


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
