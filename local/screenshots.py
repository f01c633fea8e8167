"""`make screenshots`: pictures of the admin's main pages for docs/ops-guide.md, of the demo data of `make run`.

Speaks to both regions' servers as a browser does. A picture has few colours and is kept small.
"""

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from local.servers import CHECKOUT

FOLDER = CHECKOUT / "docs" / "ops-guide"
LAPTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 375, "height": 812}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
ADMIN_EMAIL, ADMIN_PASSWORD = "admin@juniro.localhost", "juniro-local"
WRONG_CITIES: FilePayload = {
    "name": "cities.csv",
    "mimeType": "text/csv",
    "buffer": b"country,slug,name,timezone,latitude,longitude,population,is_active\n"
    b"US,ely,Ely,America/Los_Angeles,39.25,-114.89,3924,0\n"
    b"US,reno,Reno,America/Reno,39.53,-119.81,264165,0\n",
}
LIMIT = 150_000  # bytes
COLOURS = (256, 128, 64, 32)


class Camera:
    """One browser, signed in at one region's admin."""

    def __init__(self, browser: Browser, url: str, size: dict[str, Any]):
        self.context = browser.new_context(base_url=url, color_scheme="light", **size)
        self.page: Page = self.context.new_page()
        self.page.goto("/admin/")
        self.page.fill("[name=username]", ADMIN_EMAIL)
        self.page.fill("[name=password]", ADMIN_PASSWORD)
        self.page.press("[name=password]", "Enter")
        self.page.wait_for_url("**/admin/")

    def open(self, path: str) -> None:
        self.page.goto(path, wait_until="networkidle")

    def open_first(self, path: str) -> None:
        """The page of the first row of a list."""
        self.open(path)
        self.page.locator("#result_list tbody a[href*='/change/']").first.click()
        self.page.wait_for_load_state("networkidle")

    def follow(self, name: str) -> None:
        """The link or button of this name."""
        self.page.get_by_role("link", name=name).locator("visible=true").first.click()
        self.page.wait_for_load_state("networkidle")

    def shoot(self, name: str, *, tall: bool = False) -> None:
        size = self.page.viewport_size
        assert size
        # A higher window, not the whole page: what stands at the window's foot would lie across its middle.
        self.page.set_viewport_size({**size, "height": size["height"] * (2 if tall else 1)})
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.page.set_viewport_size(size)
        for colours in COLOURS:
            shot = io.BytesIO()
            picture.quantize(colours, dither=Image.Dither.NONE).save(shot, "PNG", optimize=True)
            if shot.tell() <= LIMIT:
                break
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{name}.png").write_bytes(shot.getvalue())
        print(f"{name}.png  {shot.tell() // 1000} kB")


def take(us: Camera, india: Camera, phone: Camera) -> None:
    us.open("/admin/")
    us.shoot("home")
    phone.open("/admin/")
    phone.shoot("home-phone")
    india.open("/admin/")
    india.shoot("home-india")
    waiting = "/admin/providers/provideraccount/?status__exact=pending&submitted_at__isempty=0"
    us.open(waiting)
    us.shoot("verification-queue")
    us.open_first(waiting)
    us.shoot("verification-case", tall=True)
    phone.open_first(waiting)
    phone.shoot("verification-phone")
    us.open_first("/admin/providers/provideraccount/?status__exact=verified")
    us.follow("Suspend")
    us.shoot("suspend")
    india.open("/admin/geography/country/")
    india.follow("Open market")
    india.shoot("open-market")
    us.open("/admin/geography/city/import/")
    us.page.set_input_files("input[type=file]", files=[WRONG_CITIES])
    us.page.get_by_role("button", name="Submit").click()
    us.page.wait_for_load_state("networkidle")
    us.shoot("import-error")
    us.open("/admin/payments/payment/?needs_review__exact=1")
    us.shoot("payments-review")
    us.open_first("/admin/bookings/booking/?status__exact=cancelled")
    us.shoot("booking", tall=True)
    us.open_first("/admin/payments/payment/?status__exact=paid")
    us.follow("Give money back")
    us.shoot("give-back")
    us.open_first("/admin/payments/refundrequest/?status__exact=waiting")
    us.shoot("refund-request")
    us.open("/admin/bookings/review/?reports=open")
    us.shoot("reported-reviews")
    us.open("/admin/regions/featureflag/")
    us.shoot("flags")


@contextmanager
def chromium() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        sys.exit("Install chromium or google-chrome, or set CHROMIUM to one.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu", "--disable-sync"])
        yield browser
        browser.close()


def main() -> None:
    us = os.environ.get("US_URL", "http://127.0.0.1:5001")
    india = os.environ.get("IN_URL", "http://127.0.0.1:5002")
    with chromium() as browser:
        take(Camera(browser, us, LAPTOP), Camera(browser, india, LAPTOP), Camera(browser, us, PHONE))


if __name__ == "__main__":
    main()
