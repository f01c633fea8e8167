"""A real browser at the real admin: what tests that look at pages ask for.

The application runs on pytest-django's live server in this process, so that `settings` and the test's rows are its
own. One Chromium a test process serves all tests; each visit has cookies of its own.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connections
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

LAPTOP = {"viewport": {"width": 1366, "height": 768}}
PHONE = {"viewport": {"width": 375, "height": 812}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 10_000  # milliseconds
QUIET = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def find_chromium() -> str | None:
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Visit:
    """Somebody's time at the admin: `page` is Playwright's; what went wrong on it is in `problems`."""

    def __init__(self, context: BrowserContext, url: str):
        self.context, self.url, self.problems = context, url, []
        context.set_default_timeout(PATIENCE)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)
        self.page: Page = context.new_page()

    def open(self, path: str, *, status: int = 200) -> Page:
        """Goes to `path`, which must answer `status`; a status that a test asks for is no problem."""
        response = self.page.goto(path)
        assert response is not None and response.status == status, f"{path} answered {response and response.status}"
        if status >= 400:
            self.problems.remove(f"{status} {response.request.method} {response.url}")
        return self.page

    def fits(self) -> bool:
        """Whether nobody has to scroll the page sideways."""
        return self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    def _heard(self, message) -> None:
        # A status from 400 is told by `_answered`, with its address.
        if message.type == "error" and not message.text.startswith("Failed to load resource: the server responded"):
            self.problems.append(f"console: {message.text}")

    def _asked(self, request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != urlsplit(self.url).netloc:
            self.problems.append(f"another host: {request.url}")

    def _failed(self, request) -> None:
        # What the next page or a download cuts short has not failed.
        if request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.failure} {request.method} {request.url}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.request.method} {response.url}")


def sign_in(context: BrowserContext, user, url: str) -> None:
    """Gives the browser the session that the sign-in page would, for both factors."""
    session = import_module(django_settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    device = TOTPDevice.objects.get_or_create(user=user, defaults={"name": "app"})[0]
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session.save()
    context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": url}])


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        reason = "There is no Chromium on this machine: install chromium or google-chrome, or set CHROMIUM to one."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        loop = asyncio.get_running_loop()
        browser.loop = loop
        # Playwright leaves its event loop running in this thread, which is no business of the other tests.
        asyncio._set_running_loop(None)
        yield browser
        asyncio._set_running_loop(loop)
        browser.close()


@pytest.fixture
def visit(_chromium, live_server, monkeypatch) -> Iterator[Callable[..., Visit]]:
    """`visit(user)` is that member of staff at the admin, on a laptop or `on=PHONE`; without a user nobody signed in.

    The test fails if a page had a script error, a refused or failed request, a breach of its content security policy
    or a request to another host.
    """
    visits: list[Visit] = []
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    asyncio._set_running_loop(_chromium.loop)

    def begin(user=None, *, on: dict = LAPTOP) -> Visit:
        context = _chromium.new_context(base_url=live_server.url, **on)
        visits.append(Visit(context, live_server.url))
        if user is not None:
            sign_in(context, user, live_server.url)
        return visits[-1]

    try:
        yield begin
    finally:
        for each in visits:
            each.context.close()
        # Beside a running loop Django keeps connections apart from those that the other tests have.
        connections.close_all()
        asyncio._set_running_loop(None)
    assert [problem for each in visits for problem in each.problems] == []
