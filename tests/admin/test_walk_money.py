"""Money, people, reviews and messages in a real browser: as who may, and as who may not."""

import pytest

from bookings.models import ReviewReport
from juniro.groups import CONTENT, FINANCE, SUPPORT, VERIFICATION, rights_of
from messaging.models import MessageReport
from payments.models import Refund, RefundRequest, WebhookEvent
from tests.admin.rows import message, staff
from tests.browser import LAPTOP, PHONE
from tests.factories import BookingFactory, ChildFactory, PaymentFactory, ReviewFactory

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])


def member(group: str, **fields):
    """A member of staff with the rights of a group."""
    return staff(rights=[f"{app}.{codename}" for app, _, codename in sorted(rights_of(group))], **fields)


def page_of(row, verb="change"):
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{verb}/"


def sees(page, text):
    page.get_by_text(text).first.wait_for()


def say(page, reason, button):
    page.get_by_label("Reason").fill(reason)
    page.locator("#ask").get_by_role("button", name=button).click()


@pytest.fixture
def paid():
    booking = BookingFactory(status="confirmed", amount_cents=500_00)
    return PaymentFactory(booking=booking, status="paid", processor_payment_id="pi_on_the_statement")


def test_support_finds_a_booking_asks_for_a_large_refund_and_finance_approves_it(visit, paid):
    there = visit(member(SUPPORT))
    page = there.open("/admin/bookings/booking/")
    page.locator("#searchbar").fill("pi_on_the_statement")
    page.locator("#searchbar").press("Enter")
    page.get_by_role("link", name=str(paid.booking_id)[-8:]).first.click()
    sees(page, "500.00 USD")
    page = there.open(page_of(paid))
    page.get_by_role("link", name="Give money back").click()
    sees(page, "of which 500.00 is left to give back")
    page.get_by_label("Amount in USD").fill("300.50")
    say(page, "The pool was closed.", "Give money back")
    sees(page, "300.50 USD waits for approval")
    request = RefundRequest.objects.get()
    there.open(page_of(request, "approve"), status=403)

    finance = visit(member(FINANCE))
    page = finance.open("/admin/payments/refundrequest/?status__exact=waiting")
    page.get_by_role("link", name=str(request.pk)[-8:]).first.click()
    page.get_by_role("link", name="Approve").first.click()
    sees(page, "300.50 USD go back")
    page.locator("#ask").get_by_role("button", name="Approve").click()
    sees(page, "Approved: request for 300.50 USD")
    assert Refund.objects.get().amount_cents == 300_50


@pytest.mark.parametrize("on", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_support_cancels_a_booking_and_a_session(visit, on):
    booking = BookingFactory(status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    there = visit(member(SUPPORT), on=on)
    page = there.open(page_of(booking, "cancel"))
    sees(page, "25.00 USD goes back")
    assert there.fits()
    say(page, "The coach is ill.", "Cancel and refund")
    sees(page, "Cancelled: booking")
    page = there.open(page_of(booking.session, "cancel"))
    sees(page, "Bookings that lose a seat: 0")
    page.get_by_label("I have read what this comes to").check()
    say(page, "The coach is ill.", "Cancel the session")
    sees(page, "Cancelled, with 0 bookings")
    assert there.fits()


def test_finance_ends_a_review_tries_a_refund_again_and_replays_an_event(visit, paid):
    paid.needs_review, paid.status_reason = True, "A refund failed."
    paid.save()
    refund = Refund.objects.create(payment=paid, amount_cents=100, currency="USD", reason="Ill", status="failed")
    event = WebhookEvent.objects.create(
        processor="stripe", event_id="evt_1", body_sha256="a", type="x", status="failed", payload={}
    )
    there = visit(member(FINANCE))
    page = there.open("/admin/payments/payment/?needs_review__exact=1")
    page.get_by_role("link", name=str(paid.pk)[-8:]).first.click()
    page.get_by_role("link", name="End review").click()
    say(page, "The bank has it.", "End review")
    sees(page, "The bank has it.")
    for row, verb in ((refund, "Try again"), (event, "Work on it again")):
        page = there.open(page_of(row))
        page.get_by_role("link", name=verb).click()
        page.locator("#ask").get_by_role("button", name=verb).click()
        sees(page, "again:")


@pytest.mark.parametrize("group", [VERIFICATION, CONTENT])
def test_who_has_nothing_to_do_with_money_sees_none(visit, paid, group):
    there = visit(member(group))
    for path in ("/admin/payments/payment/", page_of(paid), page_of(paid, "refund"), page_of(paid.booking, "cancel")):
        there.open(path, status=403)
    assert "Payments" not in there.open("/admin/").content()


@pytest.mark.parametrize("on", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_support_reveals_one_child_and_leaves(visit, on):
    child = ChildFactory(first_name="Mirabel", last_name="Okonkwo")
    there = visit(member(SUPPORT), on=on)
    page = there.open(page_of(child))
    assert "Mirabel" not in page.content()
    if on is PHONE:
        page.locator("[x-on\\:click='showActions = !showActions']").click()
    page.get_by_role("link", name="Reveal").click()
    say(page, "The pool has lost her name.", "Reveal")
    sees(page, "Mirabel Okonkwo")
    assert there.fits()
    page.get_by_role("link", name="Done").click()
    page.wait_for_url("**/change/")
    assert "Mirabel" not in page.content()
    assert "The pool has lost her name." in there.open(page_of(child, "history")).content()


@pytest.mark.parametrize("group", [VERIFICATION, FINANCE, CONTENT])
def test_others_reveal_nobody(visit, group):
    child = ChildFactory()
    there = visit(member(group))
    there.open(page_of(child), status=403)
    there.open(page_of(child, "reveal"), status=403)


def test_support_asks_for_an_archive_and_an_erasure(visit, settings):
    settings.ERASURE_GRACE_DAYS = 14
    user = ChildFactory().parent.user
    there = visit(member(SUPPORT))
    page = there.open(page_of(user))
    page.get_by_role("link", name="Export for them").click()
    say(page, "Letter of 3 May, signed.", "Export for them")
    sees(page, "Archive asked for")
    page.get_by_role("link", name="Erase for them").click()
    sees(page, "Until then the account works")
    say(page, "Letter of 3 May, signed.", "Erase for them")
    sees(page, "Will be erased on")


def test_content_hides_a_reported_review_and_a_reported_message(visit):
    review = ReviewFactory(comment="Coach Ben is a fool")
    ReviewReport.objects.create(review=review, reporter=review.parent.user, reason="Insult")
    report = MessageReport.objects.create(
        message=(written := message(0)), reporter=written.conversation.parent.user, reason="Rude"
    )
    there = visit(member(CONTENT))
    page = there.open("/admin/bookings/review/?reports=open")
    page.locator("#result_list input.action-select").first.check()
    page.locator("select[name=action]").select_option("hide")
    page.get_by_role("button", name="Run").first.click()
    say(page, "Insults a coach.", "Hide")
    sees(page, "Hidden: 4 stars")
    sees(page, "Reported ones are behind the filter")
    page = there.open(page_of(report))
    assert written.content not in page.content()
    page.get_by_role("link", name="Read the message").click()
    say(page, "Is it rude?", "Read the message")
    sees(page, written.content)
    page = there.open(page_of(report, "hide"))
    say(page, "It is.", "Hide the message")
    sees(page, "Hidden: report of")


def test_support_sees_reports_and_reads_no_message(visit):
    report = MessageReport.objects.create(
        message=(written := message(0)), reporter=written.conversation.parent.user, reason="Rude"
    )
    there = visit(member(SUPPORT))
    assert there.open(page_of(report)).get_by_role("link", name="Read the message").count() == 0
    there.open(page_of(report, "read"), status=403)


@pytest.mark.parametrize("on", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_a_list_is_narrowed_by_date_taken_along_and_fits(visit, on, paid):
    there = visit(member(FINANCE), on=on)
    page = there.open("/admin/payments/payment/")
    page.get_by_role("link", name=str(paid.created_at.year), exact=True).click()
    sees(page, "pi_on_the_statement")
    assert there.fits()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export this list as CSV").click()
    assert download.value.suggested_filename.startswith("payment-")
    page = there.open("/admin/payments/payment/?q=pi_unknown")
    sees(page, "No payment like this")
    assert there.fits()
