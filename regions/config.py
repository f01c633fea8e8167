"""Settings of both regions that ops may change while everything runs."""

from typing import Any, TypeVar

import structlog

from regions.models import AppConfig
from regions.shared import SharedValues

log = structlog.get_logger("juniro.config")

# Every value that the code asks for: what stands until ops make a row for it, and what it is for.
KNOWN: dict[str, tuple[Any, str]] = {
    "REFUND_APPROVAL_ABOVE_CENTS": (
        {"USD": 20_000, "INR": 1_500_000},
        "A refund by hand above this amount, in cents or paise by currency, needs a second member of staff",
    ),
}
shared = SharedValues(AppConfig, "config")
forget = shared.forget
T = TypeVar("T")


def get(key: str, default: T) -> T:
    """The value of `key`; `default` where ops have set none, or one of another shape (say, text for a number).

    With both stores down the last known value stands. A default that is an object gives what the value leaves out.
    """
    value = shared.read(key)
    if value is None:
        return default
    if not same_shape(value, default):
        log.error("app config value of another shape is not used", key=key, wanted=type(default).__name__)
        return default
    return default | value if isinstance(default, dict) else value  # type: ignore[return-value]


def same_shape(value: Any, like: Any) -> bool:
    """Whether `value` has the JSON type of `like`: in an object each known key, in a list each element, too."""
    if isinstance(like, dict):
        return isinstance(value, dict) and all(same_shape(value[key], like[key]) for key in value if key in like)
    if isinstance(like, list):
        return isinstance(value, list) and all(same_shape(each, like[0]) for each in value if like)
    if isinstance(like, float):
        return type(value) in (int, float)
    # Not isinstance: to Python, true is a number.
    return type(value) is type(like)
