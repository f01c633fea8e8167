"""How staff come into the admin: password and second factor, a lock after wrong tries, and sessions that end."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from axes.backends import AxesStandaloneBackend
from axes.utils import reset
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import redirect_to_login
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import LockError, RedisError
from unfold.forms import AuthenticationForm
from unfold.widgets import BASE_INPUT_CLASSES

from core.errors import RateLimited, ServiceUnavailable
from users import second_factor
from users.models import User

log = structlog.get_logger("juniro.signin")

# A session is written anew this often while it is used.
NOTE_SECONDS = 60


class Lockout(AxesStandaloneBackend):
    """axes' lock for those who come by password. Its own signature would have it look at every token of the API."""

    def authenticate(self, request: HttpRequest | None, username: str, password: str) -> None:  # type: ignore[override]
        if request is not None:  # else it is no door, but a command
            super().authenticate(request, username=username, password=password)


def client_name(*_: Any) -> str:
    """What axes writes into the log for somebody: neither name nor address."""
    return "someone"


@contextmanager
def one_at_a_time(username: str) -> Iterator[None]:
    """Lets the next try of `username` wait for this one, so that none is judged before the last is counted.

    Raises `ServiceUnavailable` without Redis: a door that cannot count the tries stays shut.
    """
    name = f"signin:{hashlib.sha256(username.encode()).hexdigest()}"
    try:
        with caches["default"].lock(name, timeout=30, blocking_timeout=5):  # type: ignore[attr-defined]
            yield
    except LockError as error:
        raise RateLimited(5) from error
    except (RedisError, ConnectionInterrupted) as error:
        raise ServiceUnavailable from error


class StaffSignInForm(AuthenticationForm):
    """E-mail, password and, outside local mode, a code. The answer does not tell which of them was wrong."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "E-mail, password and code do not belong together. Each code works once.",
    }
    code = forms.CharField(
        required=False,
        max_length=20,
        help_text="From your authenticator app, or a backup code. Empty the very first time.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "class": " ".join(BASE_INPUT_CLASSES)}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any):
        super().__init__(request, *args, **kwargs)
        self.fields["username"].label = "E-mail"
        if not settings.SECOND_FACTOR:
            del self.fields["code"]

    def clean_username(self) -> str:
        # As the database compares them, or each spelling of one address would have tries of its own.
        return self.cleaned_data["username"].strip().upper().lower()

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username", "")
        with one_at_a_time(username):
            cleaned = super().clean()
            user = self.get_user()
            if settings.SECOND_FACTOR and user is not None and second_factor.is_set_up(user):
                user.otp_device = second_factor.verify(user, cleaned.get("code", ""))
                if user.otp_device is None:
                    self.user_cache = None
                    # axes counts wrong codes as it counts wrong passwords.
                    user_login_failed.send(__name__, credentials={"username": username}, request=self.request)
                    raise self.get_invalid_login_error()
        return cleaned


class StaffSession:
    """Ends sessions that are idle or old, and sends those without a second factor to where they set it up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/admin/") and request.user.is_authenticated:
            refusal = self.refusal(request, now=int(timezone.now().timestamp()))
            if refusal:
                return refusal
        return self.get_response(request)

    def refusal(self, request: HttpRequest, *, now: int) -> HttpResponse | None:
        session, verified = request.session, request.user.is_verified()  # type: ignore[union-attr]
        started, seen = session.get("started", now), session.get("seen", now)
        old = now - started >= settings.ADMIN_SESSION_HOURS * 3600 or now - seen >= settings.ADMIN_IDLE_MINUTES * 60
        if old or (session.get("verified") and not verified):
            logout(request)
            messages.info(request, "You were signed out. Please sign in again.")
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if "started" not in session or session.get("verified", False) != verified:
            session["started"], session["verified"] = started, verified
        if "seen" not in session or now - seen >= NOTE_SECONDS:
            session["seen"] = now
        allowed = (reverse("second_factor"), reverse("admin:login"), reverse("admin:logout"))
        if settings.SECOND_FACTOR and not verified and request.path_info not in allowed:
            return HttpResponseRedirect(reverse("second_factor"))
        return None


def unlock(user: User) -> None:
    """Forgets the wrong tries of `user`. Raises what Redis raises."""
    reset(username=user.email.upper().lower())
