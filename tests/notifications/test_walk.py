"""The pages of notifications in a real browser: mail previews for ops, and the one that stops a mail."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from notifications.models import NotificationKind, NotificationPreference
from notifications.preferences import unsubscribe_url
from tests.admin.rows import staff
from tests.browser import LAPTOP, PHONE
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])

PREVIEWS = "/admin/notifications/notification/previews/"
NIGHT, DAY = "rgb(22, 24, 29)", "rgb(243, 244, 247)"


def mails_on(page):
    """The frames with the mail of both regions."""
    mails = [frame for frame in page.frames if frame != page.main_frame]
    assert len(mails) == 2
    return mails


# Playwright says "light" to every frame unless it is told not to.
LOOK = {"color_scheme": "null"}


@pytest.mark.parametrize("on", [LAPTOP | LOOK, PHONE | LOOK], ids=["laptop", "phone"])
def test_ops_look_at_every_mail_by_day_and_by_night(visit, on):
    there = visit(staff(email="boss@juniro.example", is_superuser=True), on=on)
    page = there.open(PREVIEWS)
    kinds = page.get_by_label("Kinds of mail").get_by_role("link")
    assert kinds.all_inner_texts() == [kind.label for kind in NotificationKind]
    for link, address in (
        ("New review", "**?kind=review_received&scheme=light&width=desk"),
        ("Dark", "**&scheme=dark&width=desk"),
        ("Phone", "**&scheme=dark&width=phone"),
    ):
        page.get_by_role("link", name=link).click()
        page.wait_for_url(address)
    assert there.fits()
    for mail in mails_on(page):
        expect(mail.locator("body")).to_contain_text("They wrote")
        assert mail.evaluate("getComputedStyle(document.body).backgroundColor") == NIGHT
        assert mail.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("link", name="Light").click()
    page.wait_for_url("**&scheme=light&width=phone")
    for mail in mails_on(page):
        assert mail.evaluate("getComputedStyle(document.body).backgroundColor") == DAY


def test_a_button_stops_one_kind_of_mail_without_signing_in(visit):
    user = UserFactory()
    there = visit(on=PHONE)
    page = there.open(urlsplit(unsubscribe_url(user.pk, NotificationKind.REVIEW_PROMPT)).path)
    assert there.fits()
    assert page.get_by_role("button").evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(29, 78, 216)"
    page.get_by_role("button", name="Stop it").click()
    page.get_by_role("heading", name="Done").wait_for()
    assert list(NotificationPreference.objects.values_list("user", "kind", "email")) == [
        (user.pk, "review_prompt", False)
    ]
