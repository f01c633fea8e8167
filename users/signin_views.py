"""Pages of the admin around signing in. They stand before the admin's own addresses in `juniro/urls.py`."""

from base64 import b32encode
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django_otp import login as verify_session
from django_otp.plugins.otp_static.models import StaticDevice
from unfold.widgets import UnfoldAdminTextInputWidget

from core.errors import Error, RateLimited, ServiceUnavailable
from users import second_factor
from users.models import User

FEW_CODES = 3


@sensitive_post_parameters()
@never_cache
def sign_in(request: HttpRequest) -> HttpResponse:
    """The admin's sign-in, with an answer for what may get in its way."""
    try:
        response = admin.site.login(request)
        if getattr(request, "axes_locked_out", False):
            raise RateLimited(settings.ADMIN_LOCKOUT_MINUTES * 60)
    except RateLimited as error:
        return notice(
            request,
            error,
            title="Locked",
            text=f"Too many wrong tries. Wait for {settings.ADMIN_LOCKOUT_MINUTES} minutes, then try again. If this "
            "was not you, tell an administrator: somebody is trying to come in under your name.",
        )
    except ServiceUnavailable as error:
        text = "Nobody can sign in just now, since a part that counts wrong tries is out of reach. Try again shortly."
        return notice(request, error, title="Out of reach", text=text)
    device = getattr(request.user, "otp_device", None)
    if response.status_code == 302 and isinstance(device, StaticDevice):
        left = second_factor.backup_codes_left(signed_in(request))
        note(request, f"Signed in with a backup code; {left} left.")
        if left <= FEW_CODES:
            messages.warning(request, f"You have {left} backup codes left. Make new ones under Second factor.")
    return response


def notice(request: HttpRequest, error: Error, **context: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), **context}
    response = TemplateResponse(request, "users/notice.html", context, status=error.status)
    response["Retry-After"] = str(error.retry_after or 5)
    return response


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=20,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "one-time-code", "autofocus": "", "inputmode": "numeric"}),
    )


@sensitive_post_parameters()
@never_cache
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Where staff set up their second factor at the first sign-in, and later renew codes or move to another phone."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    user, form = signed_in(request), CodeForm(request.POST or None)
    set_up = second_factor.is_set_up(user)
    # Where no code is asked for, who is signed in is who they say.
    verified = user.is_verified() or (set_up and not settings.SECOND_FACTOR)  # type: ignore[attr-defined]
    if set_up and not verified:
        # Signed in by password alone, while another browser set it up.
        logout(request)
        return redirect_to_login(reverse("second_factor"), reverse("admin:login"))
    if form.is_valid():
        code = form.cleaned_data["code"]
        if not verified and (device := second_factor.complete(user, code)):
            request.session.cycle_key()
            verify_session(request, device)
            note(request, "Second factor set up.")
            return backup_codes(request)
        if verified and second_factor.verify(user, code):
            if "replace" in request.POST:
                second_factor.reset(user)
                request.session["verified"] = False
                note(request, "Second factor given up for a new one.")
                return redirect("second_factor")
            note(request, "New backup codes made.")
            return backup_codes(request)
        form.add_error("code", "This code is not right. Take the one that the app shows now.")
    context: dict[str, Any] = {"title": "Second factor", "form": form}
    if verified:
        context["left"] = second_factor.backup_codes_left(user)
    else:
        device = second_factor.begin(user)
        context |= {"qr_code": second_factor.qr_code(device), "secret": secret_of(device)}
    return page(request, context)


def secret_of(device: Any) -> str:
    """The secret in groups of four, for who types it in."""
    text = b32encode(device.bin_key).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def backup_codes(request: HttpRequest) -> HttpResponse:
    codes = second_factor.new_backup_codes(signed_in(request))
    return page(request, {"title": "Backup codes", "codes": codes})


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    return TemplateResponse(request, "users/second_factor.html", {**admin.site.each_context(request), **context})


def signed_in(request: HttpRequest) -> User:
    return cast("User", request.user)


def note(request: HttpRequest, message: str) -> None:
    user = signed_in(request)
    LogEntry.objects.log_actions(user.pk, User.objects.filter(pk=user.pk), CHANGE, message, single_object=True)
