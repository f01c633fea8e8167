import pytest
from django.db import connections

from tests.conftest import free_port


@pytest.fixture
def broken_redis(settings):
    """A way to take the global Redis away."""

    def take_away() -> None:
        dead = settings.CACHES["global"] | {"LOCATION": f"redis://127.0.0.1:{free_port()}/0"}
        settings.CACHES = settings.CACHES | {"global": dead}

    return take_away


@pytest.fixture
def broken_database():
    """A way to take the global database away, for tests with `transaction=True`."""
    connection = connections["global"]
    port = connection.settings_dict["PORT"]

    def take_away() -> None:
        connection.close()
        connection.settings_dict["PORT"] = free_port()

    yield take_away
    connection.settings_dict["PORT"] = port
