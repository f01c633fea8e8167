import pytest
from django.test import Client
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice

from tests.admin.rows import staff


def signed_in(user, **options) -> Client:
    """A browser in which `user` has just signed in with both factors."""
    client = Client(**options)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    device = TOTPDevice.objects.get_or_create(user=user, defaults={"name": "app"})[0]
    now = int(timezone.now().timestamp())
    session = client.session
    session.update({DEVICE_ID_SESSION_KEY: device.persistent_id, "verified": True, "started": now, "seen": now})
    session.save()
    return client


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def superuser(db):
    return staff(email="boss@juniro.example", is_superuser=True)


@pytest.fixture
def ops(superuser) -> Client:
    """A superuser at the admin."""
    return signed_in(superuser)


@pytest.fixture
def messages_of():
    """The messages that the page of an answer shows, as texts."""

    def read(response) -> list[str]:
        return [str(message) for message in response.context["messages"]]

    return read
