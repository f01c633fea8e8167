import pytest
from django.test import Client

from tests.admin.rows import staff


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
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
