"""The second factor of staff: an authenticator app (TOTP), and backup codes for the day when the phone is gone."""

import secrets

import qrcode
from django.db import transaction
from django.utils.crypto import salted_hmac
from django.utils.safestring import SafeString, mark_safe
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from qrcode.image.svg import SvgPathImage

from users.models import User

BACKUP_CODES = 10
# No letters that look like digits, or like each other.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def is_set_up(user: User) -> bool:
    return TOTPDevice.objects.filter(user=user, confirmed=True).exists()


@transaction.atomic
def begin(user: User) -> TOTPDevice:
    """The app that `user` is about to set up: with the same secret until it has proven itself."""
    lock(user)
    return TOTPDevice.objects.get_or_create(user=user, confirmed=False, defaults={"name": "authenticator app"})[0]


def qr_code(device: TOTPDevice) -> SafeString:
    """What the app scans, as an SVG that stands in the page: the secret has no address of its own."""
    picture = qrcode.make(device.config_url, image_factory=SvgPathImage, box_size=12, border=2)
    return mark_safe(picture.to_string(encoding="unicode"))  # noqa: S308  (made of numbers)


@transaction.atomic
def complete(user: User, code: str) -> TOTPDevice | None:
    """The app, set up: `code` proves that it has the secret. None if it does not."""
    lock(user)
    device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    if device is None or is_set_up(user) or not device.verify_token(code):
        return None
    device.confirmed = True
    device.save(update_fields=["confirmed"])
    return device


def verify(user: User, code: str) -> Device | None:
    """The device that `code` belongs to. Each code works once, also for two who send it at the same time."""
    code = "".join(code.split()).replace("-", "").lower()
    with transaction.atomic():
        if code.isdecimal():
            app = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=True).first()
            return app if app and app.verify_token(code) else None
        paper = StaticDevice.objects.select_for_update().filter(user=user).first()
        return paper if paper and paper.verify_token(digest(code)) else None


@transaction.atomic
def new_backup_codes(user: User) -> list[str]:
    """Fresh codes; the old ones are worth nothing from now on. They are kept hashed, so this is when they are shown."""
    lock(user)
    StaticDevice.objects.filter(user=user).delete()
    codes = ["".join(secrets.choice(ALPHABET) for _ in range(10)) for _ in range(BACKUP_CODES)]
    device = StaticDevice.objects.create(user=user, name="backup codes")
    device.token_set.bulk_create(device.token_set.model(device=device, token=digest(code)) for code in codes)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def backup_codes_left(user: User) -> int:
    return sum(device.token_set.count() for device in StaticDevice.objects.filter(user=user))


def lock(user: User) -> None:
    """One at a time: two pages that load at once must not make two devices."""
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)


def digest(code: str) -> str:
    # 64 bits of it: as much as the library's column takes, and more than a code has.
    return salted_hmac("users.second_factor", code, algorithm="sha256").hexdigest()[:16]


@transaction.atomic
def reset(user: User) -> None:
    """Forgets app and codes: the next sign-in sets them up anew, and what was signed in with them is signed out."""
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
