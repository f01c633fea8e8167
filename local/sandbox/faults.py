"""Things going wrong on purpose, for soak runs and for tests of outages."""

import random
import threading
from typing import Any

# Numbers are probabilities unless said otherwise.
_DEFAULTS: dict[str, Any] = {
    "drop": 0.0,  # a delivery attempt never arrives, and is retried
    "lose": 0.0,  # an event is never delivered at all
    "duplicate": 0.0,  # an event is delivered twice at the same time
    "reorder": 0.0,  # the events of one action arrive in another order
    "delay": 0.0,  # seconds: each delivery waits up to so long
    "http500": 0.0,  # a payment API call answers 500 and does nothing
    "stored500": 0.0,  # the same, and Stripe replays the 500 for that Idempotency-Key
    "timeout": 0.0,  # a payment API call does its work, then hangs
    "hang_seconds": 15.0,  # seconds of such a hang
    "unlisted": 0.0,  # an event never stands in Stripe's list of events
    "webhooks": "on",  # off: deliveries are held until it is on again
    "supabase": "up",
    "stripe": "up",
    "razorpay": "up",
    "refunds": "succeed",  # pending: until POST /refunds/{id}; fail: accepted, then failed
    "seed": None,
}
_CHOICES = {
    "webhooks": ("on", "off"),
    "supabase": ("up", "down"),
    "stripe": ("up", "down"),
    "razorpay": ("up", "down"),
    "refunds": ("succeed", "pending", "fail"),
}
_SECONDS = ("delay", "hang_seconds")


class Faults:
    """The faults that are on; with a `seed`, the nth chance of a fault to strike always ends the same way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = dict(_DEFAULTS)
        self._streams: dict[str, random.Random] = {}

    def change(self, values: dict[str, Any]) -> None:
        """Sets the named faults and leaves the others; raises ValueError and changes nothing if one makes no sense."""
        for name, value in values.items():
            _check(name, value)
        with self._lock:
            self._values.update(values)
            if "seed" in values:
                self._streams = {}

    def reset(self) -> None:
        self.change(dict(_DEFAULTS))

    def as_dict(self) -> dict[str, Any]:
        return dict(self._values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def strikes(self, name: str) -> bool:
        """Whether the fault of this probability happens now."""
        probability = self._values[name]
        if not probability:
            return False
        with self._lock:
            return self._stream(name).random() < probability

    def pause(self) -> float:
        """Seconds that this delivery waits."""
        with self._lock:
            return self._stream("delay").uniform(0, self._values["delay"])

    def shuffle(self, items: list[Any]) -> None:
        with self._lock:
            self._stream("shuffle").shuffle(items)

    def _stream(self, name: str) -> random.Random:
        """Each fault draws from a stream of its own, so that threads in another order meet the same faults."""
        seed = self._values["seed"]
        return self._streams.setdefault(name, random.Random(None if seed is None else f"{seed}:{name}"))


def _check(name: str, value: Any) -> None:
    if name not in _DEFAULTS:
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(_DEFAULTS)}")
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}")
    elif name == "seed":
        if value is not None and not isinstance(value, (int, str)):
            raise ValueError("seed must be a number, a text or null")
    elif isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"{name} must be a number that is not negative")
    elif name not in _SECONDS and value > 1:
        raise ValueError(f"{name} is a probability, from 0 to 1")
