"""Query strings: known parameters only, and small typed readers that say what is wrong."""

import re
from collections.abc import Collection, Mapping
from datetime import date
from uuid import UUID

from rest_framework.request import Request

from core.envelope import camelize_key, snake_key
from core.errors import ValidationFailed

MAX_LENGTH = 200


def known_only(request: Request, *names: str, paged: bool = True) -> dict[str, str]:
    """The query parameters by snake_case name. Raises `ValidationFailed` for one that this list does not know.

    A misspelt filter that is silently ignored would show a parent the wrong activities.
    """
    allowed = {*names, *(("page", "limit") if paged else ())}
    given = {snake_key(key): str(value) for key, value in request.query_params.items()}
    unknown = sorted(set(given) - allowed)
    if unknown:
        choices = ", ".join(camelize_key(name) for name in sorted(allowed)) or "none"
        raise ValidationFailed(
            details=[
                {"field": key[:50], "message": f"Unknown parameter. Known ones: {choices}."} for key in unknown[:20]
            ]
        )
    for name, value in given.items():
        if len(value) > MAX_LENGTH:
            raise invalid(name, f"At most {MAX_LENGTH} characters.")
    return {name: value for name, value in given.items() if value != ""}


def invalid(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, field=camelize_key(name))


def whole_number(given: Mapping[str, str], name: str, *, at_least: int = 0, most: int = 2_147_483_647) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and at_least <= int(text) <= most):
        raise invalid(name, f"Must be a whole number from {at_least} to {most}.")
    return int(text)


def day(given: Mapping[str, str], name: str) -> date | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(name, "Must be a date such as 2026-03-31.") from None


def uuid(given: Mapping[str, str], name: str) -> UUID | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise invalid(name, "Must be an id.") from None


def boolean(given: Mapping[str, str], name: str) -> bool | None:
    text = given.get(name)
    if text is None:
        return None
    if text not in ("true", "false"):
        raise invalid(name, "Must be true or false.")
    return text == "true"


def one_of(given: Mapping[str, str], name: str, choices: Collection[str]) -> str | None:
    text = given.get(name)
    if text is not None and text not in choices:
        raise invalid(name, f"Must be one of {', '.join(choices)}.")
    return text


def some_of(given: Mapping[str, str], name: str, choices: Collection[str]) -> tuple[str, ...]:
    """A comma-separated list of `choices`, each once, in their own order."""
    if name not in given:
        return ()
    wanted = set(filter(None, given[name].split(",")))
    if wanted - set(choices):
        raise invalid(name, f"Must be some of {', '.join(choices)}, separated by commas.")
    return tuple(choice for choice in choices if choice in wanted)


def decimal(given: Mapping[str, str], name: str, *, at_least: float, most: float) -> float | None:
    text = given.get(name)
    if text is None:
        return None
    if not (re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,12})?", text) and at_least <= float(text) <= most):
        raise invalid(name, f"Must be a number from {at_least:g} to {most:g}.")
    return float(text)
