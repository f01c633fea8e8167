"""What the sandbox reads from its environment, and when it refuses to start."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

HOST = "127.0.0.1"


class RefusedError(Exception):
    """The sandbox will not start; the message is the one line to print."""


@dataclass(frozen=True)
class Settings:
    region: str
    port: int
    webhook_base: str
    return_url: str
    state_path: str | None
    stripe_secret_key: str
    stripe_webhook_secret: str
    razorpay_key_id: str
    razorpay_key_secret: str
    razorpay_webhook_secret: str
    supabase_service_role_key: str

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"


def from_env(env: Mapping[str, str]) -> Settings:
    """Settings for this environment; raises `RefusedError` anywhere but on a developer's machine with sandbox keys."""
    juniro_env = env.get("JUNIRO_ENV") or "local"
    if juniro_env != "local":
        raise RefusedError(f"the sandbox runs only with JUNIRO_ENV=local, not {juniro_env!r}")
    region = env.get("REGION") or "us"
    if region not in ("us", "in"):
        raise RefusedError(f"REGION must be us or in, not {region!r}")
    api = f"http://{HOST}:{_port(env, 'PORT', 5001)}"
    webhook_base = (env.get("SANDBOX_WEBHOOK_BASE") or f"{api}/v1/payments/webhook").rstrip("/")
    if urlsplit(webhook_base).scheme != "http" or urlsplit(webhook_base).hostname not in (HOST, "localhost", "::1"):
        raise RefusedError("SANDBOX_WEBHOOK_BASE must be an http:// address on this machine")
    return Settings(
        region=region,
        port=_port(env, "SANDBOX_PORT", 5101),
        webhook_base=webhook_base,
        return_url=env.get("CHECKOUT_SUCCESS_URL") or f"{api}/",
        state_path=env.get("SANDBOX_STATE") or None,
        stripe_secret_key=_secret(env, "STRIPE_SECRET_KEY", "sk_test_sandbox"),
        stripe_webhook_secret=_secret(env, "STRIPE_WEBHOOK_SECRET", "whsec_sandbox"),
        razorpay_key_id=_secret(env, "RAZORPAY_KEY_ID", "rzp_test_sandbox"),
        razorpay_key_secret=_secret(env, "RAZORPAY_KEY_SECRET", "secret_sandbox"),
        razorpay_webhook_secret=_secret(env, "RAZORPAY_WEBHOOK_SECRET", "whsec_razorpay_sandbox"),
        supabase_service_role_key=_secret(env, "SUPABASE_SERVICE_ROLE_KEY", "service_role_sandbox"),
    )


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise RefusedError(f"{name} must be a port number, not {text!r}")
    return int(text)


def _secret(env: Mapping[str, str], name: str, default: str) -> str:
    """The first of a comma-separated list, every one of which must be a sandbox key."""
    values = [value.strip() for value in (env.get(name) or default).split(",")]
    if not all(value.endswith("_sandbox") for value in values):
        raise RefusedError(f"{name} does not end in _sandbox: the sandbox never starts with a real key")
    return values[0]
