"""Stripe's form-encoded nested parameters: read, and checked against the ones that the sandbox knows."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

Params = dict[str, Any]


class StripeError(Exception):
    """An error as Stripe answers it."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int = 400,
        type: str = "invalid_request_error",
        validation: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        # Stripe keeps no idempotent answer for a request that failed validation.
        self.validation = validation
        fields = {"code": code, "message": message, "param": param, "type": type}
        self.body = {"error": {name: value for name, value in fields.items() if value is not None}}


def invalid(message: str, param: str | None, code: str | None = None) -> StripeError:
    """A parameter that fails validation."""
    return StripeError(message, param=param, code=code, validation=True)


def parse(pairs: Iterable[tuple[str, str]]) -> Params:
    """`a[b][0][c]=d` as `{"a": {"b": [{"c": "d"}]}}`; `a[]=x` counts as the next item."""
    tree: Params = {}
    for name, value in pairs:
        match = re.fullmatch(r"([^\[\]]+)((?:\[[^\[\]]*\])*)", name)
        if match is None:
            raise invalid(f"Invalid parameter name: {name}", name)
        *steps, last = match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])
        node = tree
        for step in steps:
            node = node.setdefault(step or str(len(node)), {})
            if not isinstance(node, dict):
                raise invalid(f"Invalid object: {name}", name)
        node[last or str(len(node))] = value
    return {name: _lists(value) for name, value in tree.items()}


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    node = {key: _lists(value) for key, value in node.items()}
    if node and all(key.isascii() and key.isdigit() for key in node):
        return [node[key] for key in sorted(node, key=int)]
    return node


def check(params: Params, schema: Params, parent: str = "") -> Params:
    """The parameters with numbers and flags converted; raises `StripeError` for one that the schema has not."""
    checked = {}
    for name, value in params.items():
        param = f"{parent}[{name}]" if parent else name
        if name not in schema:
            raise invalid(f"Received unknown parameter: {param}", param, "parameter_unknown")
        checked[name] = _value(value, schema[name], param)
    return checked


def _value(value: Any, kind: Any, param: str) -> Any:
    if kind == "metadata":
        return _metadata(value, param)
    if isinstance(kind, tuple) and kind[0] == "either":
        return _value(value, kind[1] if isinstance(value, dict) else kind[2], param)
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise invalid("Invalid object", param, "parameter_invalid_object")
        return check(value, kind, param)
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise invalid("Invalid array", param, "parameter_invalid_array")
        return [_value(item, kind[0], f"{param}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {value}", param, "parameter_invalid_string")
    if value == "":
        message = f"You passed an empty string for '{param}'. You should remove '{param}' or supply a non-empty value."
        raise invalid(message, param, "parameter_invalid_empty")
    return _scalar(value, kind, param)


def _scalar(value: str, kind: Any, param: str) -> Any:
    if kind == "int":
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise invalid(f"Invalid integer: {value}", param, "parameter_invalid_integer")
        return int(value)
    if kind == "bool":
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", param)
        return value == "true"
    if kind == "url":
        # Stripe fills {CHECKOUT_SESSION_ID} in, so braces are no mistake.
        if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc:
            raise invalid("Not a valid URL", param, "url_invalid")
        return value
    if isinstance(kind, tuple) and value not in kind:
        choices = ", ".join(kind[:-1]) + f", or {kind[-1]}" if len(kind) > 1 else kind[0]
        raise invalid(f"Invalid {param}: must be one of {choices}", param)
    if isinstance(kind, int) and len(value) > kind:
        raise invalid(f"Invalid string: {value[:10]}…; must be at most {kind} characters", param)
    return value


def _metadata(value: Any, param: str) -> dict[str, str]:
    if not isinstance(value, dict):
        if isinstance(value, list):  # keys that are all digits look like a list's
            value = {str(index): item for index, item in enumerate(value)}
        else:
            raise invalid("Invalid object", param, "parameter_invalid_object")
    if len(value) > 50:
        raise invalid(f"You can have up to 50 keys in {param}", param)
    for key, item in value.items():
        if not isinstance(item, str):
            raise invalid("Metadata values must be strings", f"{param}[{key}]")
        if len(key) > 40 or len(item) > 500:
            raise invalid("Metadata keys can have up to 40 characters and values up to 500", f"{param}[{key}]")
    return {key: item for key, item in value.items() if item != ""}


def required(params: Params, *names: str, parent: str = "") -> None:
    """Raises `StripeError` for the first of these parameters that is missing."""
    for name in names:
        if name not in params:
            param = f"{parent}[{name}]" if parent else name
            raise invalid(f"Missing required param: {param}.", param, "parameter_missing")
