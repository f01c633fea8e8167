"""Who is calling: Supabase access tokens, verified here without a network call (API architecture §8, contract §4)."""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import jwt
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core.errors import Error, InvalidToken, Unauthorized
from core.models import Region
from regions.services import RegionMismatch, other_region
from users.jwks import key_set
from users.models import AccountTombstone, User

REQUIRED_CLAIMS = ["exp", "iat", "sub", "aud", "iss"]
LEEWAY_SECONDS = 30
MAX_TOKEN_LENGTH = 8192


class UserNotFound(Error):
    status, code, message = 401, "USER_NOT_FOUND", "This account is not known here yet: call POST /v1/auth/sync first."


class AccountSuspended(Error):
    status, code, message = 403, "ACCOUNT_SUSPENDED", "This account is suspended. Write to support."


@dataclass(frozen=True)
class Claims:
    """What we believe of a verified token. `region` is known for a peer's token, or from `app_metadata`."""

    auth_id: str
    email: str
    region: str | None
    from_peer: bool = False


def verify(token: str) -> Claims:
    """The claims of a valid access token. Raises `InvalidToken`, or `ServiceUnavailable` without any keys."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken
    try:
        header = jwt.get_unverified_header(token)
        # Only to choose the key; the signature and the issuer are checked below.
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        from_peer = issuer in settings.SUPABASE_PEER_ISSUERS
        expected_issuer = issuer if from_peer else settings.SUPABASE_JWT_ISSUER
        if issuer != expected_issuer:
            raise InvalidToken
        key, algorithm = _key(header, settings.SUPABASE_PEER_ISSUERS.get(str(issuer)))
        payload = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=settings.SUPABASE_JWT_AUDIENCE,
            issuer=expected_issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": REQUIRED_CLAIMS},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise InvalidToken from error
    return _claims(payload, from_peer=from_peer)


def _key(header: dict[str, Any], peer_jwks_url: str | None) -> tuple[Any, str]:
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm == "HS256" and settings.SUPABASE_JWT_SECRET and not peer_jwks_url:
        return settings.SUPABASE_JWT_SECRET, "HS256"
    if algorithm not in ("ES256", "RS256") or not isinstance(key_id, str):
        raise InvalidToken
    return key_set(peer_jwks_url or settings.SUPABASE_JWKS_URL).key(key_id).key, algorithm


def _claims(payload: dict[str, Any], *, from_peer: bool) -> Claims:
    """What PyJWT lets through and we do not: service and anonymous roles, third-party clients, odd subjects."""
    if payload.get("role") != "authenticated" or payload.get("is_anonymous") or "client_id" in payload:
        raise InvalidToken
    try:
        auth_id = str(UUID(payload["sub"]))
    except (ValueError, AttributeError, TypeError):
        raise InvalidToken from None
    email = payload.get("email")
    if not isinstance(email, str) or len(email) > 254 or not email.isprintable():
        email = ""
    metadata = payload.get("app_metadata")
    region = metadata.get("home_region") if isinstance(metadata, dict) else None
    if from_peer:
        region = other_region()
    return Claims(auth_id, email, region if region in Region.values else None, from_peer)


class SupabaseBackend(BaseBackend):
    """Django's authentication by a Supabase token: `authenticate(request, supabase_token=…)`."""

    def authenticate(self, request: HttpRequest | None, supabase_token: str | None = None) -> User | None:  # type: ignore[override]
        """The synced user of the token. Raises `InvalidToken`, `UserNotFound`, `AccountSuspended`, `RegionMismatch`."""
        if supabase_token is None:
            return None
        claims = verify(supabase_token)
        if claims.from_peer:
            raise RegionMismatch(other_region())
        return user_of(claims)


def user_of(claims: Claims) -> User:
    user = User.objects.select_related("parent").filter(auth_id=claims.auth_id).first()
    if user is None:
        refuse_deleted(claims)
        raise UserNotFound
    if not user.is_active:
        raise AccountSuspended
    return user


def refuse_deleted(claims: Claims) -> None:
    """Raises `InvalidToken` for the token of an account that was deleted: it outlives the account by up to an hour."""
    if AccountTombstone.objects.filter(auth_id_sha256=AccountTombstone.hash(claims.auth_id)).exists():
        raise InvalidToken


def bearer_token(request: Request | HttpRequest) -> str | None:
    """The token of `Authorization: Bearer …`, or None. Raises `InvalidToken` for a malformed header of that scheme."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip()
    if not token.isascii() or " " in token:
        raise InvalidToken
    return token or None


class SupabaseAuthentication(BaseAuthentication):
    """DRF's side of `SupabaseBackend`: `request.user` is the synced user."""

    errors = (Unauthorized, InvalidToken, UserNotFound, AccountSuspended)

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        token = bearer_token(request)
        if token is None:
            return None
        user = authenticate(request._request, supabase_token=token)
        if not isinstance(user, User):
            raise InvalidToken
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TokenAuthentication(BaseAuthentication):
    """Only the token, for callers who may not be synced: `request.auth` is its `Claims`, `request.user` stays None."""

    errors = (Unauthorized, InvalidToken)

    def authenticate(self, request: Request) -> tuple[None, Claims]:
        token = bearer_token(request)
        if token is None:
            raise Unauthorized
        return None, verify(token)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def claims_of(request: Request) -> Claims:
    """What `TokenAuthentication` verified of the caller."""
    return cast("Claims", request.auth)
