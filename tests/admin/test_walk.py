"""The admin in a real browser: its frame, on a laptop and on a phone."""

import pytest
from playwright.sync_api import expect

from bookings.models import ReviewReport
from payments.models import WebhookEvent
from tests import factories as make
from tests.admin.rows import row_of, staff
from tests.browser import LAPTOP, PHONE

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])


@pytest.mark.parametrize("on", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_front_page_shows_region_and_environment_and_fits(visit, on):
    there = visit(staff(rights=["bookings.view_booking"]), on=on)
    page = there.open("/admin/")
    expect(page.get_by_text("United States · test").first).to_be_visible()
    assert there.fits()


@pytest.mark.parametrize(
    ("group", "sees", "not_for_it"),
    [
        ("verification", "Providers to verify", "Payments to review"),
        ("finance", "Payments to review", "Reported reviews"),
        ("content", "Reported reviews", "Payments to review"),
        ("support", "Reported reviews", "Webhook events that fail"),
        ("administrators", "Payments to review", None),
    ],
)
def test_each_group_finds_its_work_on_the_front_page_and_nobody_else_s(visit, group, sees, not_for_it):
    make.ProviderAccountFactory(status="pending", verified_at=None, submitted_at=make.in_days(-3))
    make.PaymentFactory(needs_review=True)
    ReviewReport.objects.create(review=make.ReviewFactory(), reporter=make.UserFactory(), reason="Rude")
    row_of("payments.WebhookEvent")
    WebhookEvent.objects.update(status="failed")
    there = visit(staff(groups=[group]), on=PHONE)
    page = there.open("/admin/")
    if not_for_it:
        expect(page.get_by_text(not_for_it)).to_have_count(0)
    card = page.locator("#waiting").get_by_role("link", name=sees)
    expect(card).to_contain_text("1")
    assert there.fits()
    card.click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert there.fits()


def test_who_is_in_no_group_is_told_whom_to_ask(visit):
    page = visit(staff()).open("/admin/")
    expect(page.get_by_text("An administrator can put you into a group.")).to_be_visible()


def test_a_list_that_a_member_of_staff_may_not_see_is_refused(visit):
    there = visit(staff(rights=["bookings.view_booking"]))
    there.open("/admin/bookings/booking/")
    there.open("/admin/payments/payment/", status=403)


def test_signing_in_by_password_leads_to_the_front_page(visit, settings):
    settings.SECOND_FACTOR = False
    member = staff(rights=["bookings.view_booking"])
    member.set_password("correct horse battery")
    member.save()
    page = visit().open("/admin/")
    page.get_by_label("E-mail").fill(member.email)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")
    expect(page.get_by_role("link", name="Bookings").first).to_be_visible()


def test_what_goes_wrong_on_a_page_is_noticed(visit):
    there = visit(staff())
    page = there.open("/admin/")
    page.evaluate("console.error('oh no')")
    page.evaluate("fetch('/admin/nowhere').then(answer => answer.text())")
    page.evaluate("fetch('http://127.0.0.2:9/').catch(() => {})")
    with there.context.expect_event("weberror"):
        page.evaluate("setTimeout(() => { throw Error('lost') })")
    found = " ".join(there.problems)
    assert "console: oh no" in found
    assert f"404 GET {there.url}/admin/nowhere" in found
    assert "violates the following Content Security Policy directive" in found
    assert "script: lost" in found
    there.problems.clear()
