"""Feature flags of both regions, switched in the admin while everything runs."""

from core.errors import FeatureDisabled
from regions.models import FeatureFlag
from regions.shared import SharedValues

# Every flag that the code asks for, with what it switches. It is off until ops make a row for it.
KNOWN = {
    "MESSAGING_ENABLED": "Parents and providers can write to each other",
    "AI_SEARCH_ENABLED": "Search understands whole sentences",
}
shared = SharedValues(FeatureFlag, "flag")
forget = shared.forget


def is_enabled(key: str) -> bool:
    """Whether the flag `key` is on. Unknown flags are off; with both stores down the last known value stands."""
    return shared.read(key) is True


def require(key: str) -> None:
    """Raises `FeatureDisabled` unless the flag `key` is on."""
    if not is_enabled(key):
        raise FeatureDisabled


def switch(key: str, value: bool) -> None:
    """Turns a flag on or off in both regions, within seconds in every process."""
    FeatureFlag.objects.update_or_create(key=key, defaults={"value": value})
    forget(key)
