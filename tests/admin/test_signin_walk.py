"""Signing in with a real browser: setting up the second factor, a backup code, the lock."""

import base64

import pytest
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from playwright.sync_api import expect

from tests.admin.rows import staff
from tests.browser import LAPTOP, PHONE
from users import second_factor

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])
PASSWORD = "correct horse battery"


@pytest.fixture
def member():
    made = staff(email="ops@juniro.example", rights=["bookings.view_booking"])
    made.set_password(PASSWORD)
    made.save()
    return made


def sign_in(page, *, password: str = PASSWORD, code: str = ""):
    page.get_by_label("E-mail").fill("ops@juniro.example")
    page.get_by_label("Password").fill(password)
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("on", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_first_sign_in_sets_up_the_second_factor(visit, member, on):
    there = visit(on=on)
    page = there.open("/admin/")
    sign_in(page)
    page.wait_for_url("**/admin/second-factor/")
    assert page.locator("#qr-code svg").bounding_box()["width"] > 150
    assert there.fits()
    secret = page.locator("#secret").inner_text().replace(" ", "")
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("This code is not right.")).to_be_visible()
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    page.get_by_label("Code").fill(f"{totp(key):06}")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#backup-codes li")).to_have_count(10)
    codes = page.locator("#backup-codes li").all_inner_texts()
    assert there.fits()
    page.get_by_role("link", name="I have kept them").click()
    page.wait_for_url("**/admin/")

    another = visit()
    page = another.open("/admin/")
    sign_in(page, code=codes[3])
    page.wait_for_url("**/admin/")
    third = visit()
    page = third.open("/admin/")
    sign_in(page, code=codes[3])
    expect(page.get_by_text("do not belong together")).to_be_visible()


def test_new_codes_are_made_from_the_account_menu(visit, member):
    there = visit(member)
    second_factor.new_backup_codes(member)
    page = there.open("/admin/second-factor/")
    expect(page.get_by_text("10 backup codes are left")).to_be_visible()
    page.get_by_label("Code").fill(f"{totp(TOTPDevice.objects.get().bin_key):06}")
    page.get_by_role("button", name="New backup codes").click()
    expect(page.locator("#backup-codes li")).to_have_count(10)


def test_after_five_wrong_tries_the_door_is_locked(visit, member):
    there = visit()
    page = there.open("/admin/")
    for _ in range(4):
        sign_in(page, password="wrong")
        page.get_by_text("do not belong together").wait_for()
    sign_in(page, password="wrong")
    page.get_by_text("Too many wrong tries.").wait_for()
    assert [problem[:3] for problem in there.problems] == ["429"]
    there.problems.clear()
