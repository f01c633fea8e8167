"""Deciding about providers in a real browser, as the group that may and as one that may not."""

import pytest
from playwright.sync_api import expect

from notifications.models import Notification
from tests import factories as make
from tests.admin.rows import staff
from tests.browser import LAPTOP, PHONE

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])


def applicant(name: str = "Swim School"):
    account = make.ProviderAccountFactory(
        business_name=name, status="pending", verified_at=None, submitted_at=make.in_days(-3), description="We swim."
    )
    make.ProviderUserFactory(provider_account=account, role="owner")
    activity = make.ActivityFactory(provider=account, title="Little Fish")
    make.SessionFactory(offering=make.OfferingFactory(activity=activity, name="One class"))
    return account


def decide(page, verb: str, reason: str = "") -> None:
    """From the button on the provider's page through the question that follows."""
    button = page.get_by_role("link", name=verb)
    if not button.first.is_visible():
        # On a phone the verbs are behind a menu.
        page.get_by_text("more_horiz").first.click()
    button.locator("visible=true").first.click()
    if reason:
        page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=verb).click()
    page.wait_for_url("**/change/")


@pytest.mark.parametrize("on", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_verification_works_its_queue_off_from_the_front_page(visit, on):
    account = applicant()
    there = visit(staff(groups=["verification"]), on=on)
    page = there.open("/admin/")
    page.get_by_text("Providers to verify").click()
    page.get_by_role("link", name="Swim School").click()
    for said in ("Plan a session", "1 Water Street", "Little Fish", "One class: "):
        expect(page.get_by_text(said).first).to_be_visible()
    assert there.fits()
    decide(page, "Approve")
    expect(page.get_by_text("Approved: Swim School.")).to_be_visible()
    decide(page, "Suspend", "No insurance")
    decide(page, "Reinstate")
    expect(page.get_by_text("Suspended: No insurance")).to_be_visible()  # among the decisions
    assert there.fits()
    account.refresh_from_db()
    assert (account.status, account.status_reason) == ("verified", "")
    assert list(Notification.objects.order_by("pk").values_list("kind", flat=True)) == [
        "provider_verified",
        "provider_suspended",
        "provider_reinstated",
    ]
    there.open("/admin/")
    expect(page.get_by_text("All clear. Nothing waits for you.")).to_be_visible()


def test_suspending_tells_what_it_does_before_it_does_it(visit):
    account = make.ProviderUserFactory(role="owner").provider_account
    session = make.SessionFactory(offering__activity__provider=account)
    make.BookingFactory(session=session, status="confirmed")
    page = visit(staff(groups=["verification"])).open(f"/admin/providers/provideraccount/{account.pk}/suspend/")
    expect(page.get_by_text("1 activity leaves the catalogue at once")).to_be_visible()
    expect(page.get_by_text("1 confirmed booking to come")).to_be_visible()
    page.get_by_role("link", name="Cancel").click()
    page.wait_for_url("**/change/")
    account.refresh_from_db()
    assert account.status == "verified"


def test_a_rejection_without_a_reason_goes_nowhere(visit):
    account = applicant()
    page = visit(staff(groups=["verification"])).open(f"/admin/providers/provideraccount/{account.pk}/change/")
    page.get_by_role("link", name="Reject").click()
    page.get_by_label("Reason").fill("   ")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("This field is required.")).to_be_visible()
    page.get_by_label("Reason").fill("Send us your insurance.")
    page.get_by_role("button", name="Reject").click()
    page.wait_for_url("**/change/")
    expect(page.get_by_text("Told to the provider: Send us your insurance.")).to_be_visible()
    account.refresh_from_db()
    assert account.status == "rejected"


def test_finance_looks_at_a_provider_and_decides_nothing(visit):
    account = applicant()
    there = visit(staff(groups=["finance"]))
    page = there.open(f"/admin/providers/provideraccount/{account.pk}/change/")
    expect(page.get_by_text("Little Fish").first).to_be_visible()
    expect(page.get_by_role("heading", name="Team")).to_have_count(0)
    for verb in ("Approve", "Reject", "Suspend", "Reinstate"):
        expect(page.get_by_role("link", name=verb)).to_have_count(0)
    there.open(f"/admin/providers/provideraccount/{account.pk}/verify/", status=403)
    account.refresh_from_db()
    assert account.status == "pending"
