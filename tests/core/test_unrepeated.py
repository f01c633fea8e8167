"""No error repeats what was sent: it may be somebody's, and errors end up in logs and on screenshots."""

from typing import Any

import orjson
import pytest

from core.exceptions import message
from regions import flags
from tests.factories import ProviderUserFactory, SessionFactory
from tests.payments.signed import RAZORPAY, STRIPE

pytestmark = pytest.mark.django_db(databases=["default", "global"])

CANARY = "peanut canary 4519"
# Numbers that no valid body has.
WRONG: list[Any] = [CANARY, [CANARY], {CANARY: CANARY}, f"{CANARY}@x", f"+1{CANARY}"]


@pytest.fixture
def operations(api):
    """Every operation of the API: method, address with the canary for each parameter, names of body and query."""
    document = orjson.loads(api.client.get("/v1/openapi.json").content)
    components = document["components"]["schemas"]
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            names = list(components.get(reference, {}).get("properties", {}))
            query = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
            found.append((method.upper(), path, names, query))
    return found


@pytest.fixture
def caller(api):
    """Somebody who may do everything that a caller may."""
    flags.switch("MESSAGING_ENABLED", True)
    owner = ProviderUserFactory()
    SessionFactory(offering__activity__provider=owner.provider_account)
    return api.as_user(owner.user)


def test_no_refusal_of_any_operation_repeats_what_was_sent(caller, operations, settings):
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, 100_000)
    refused = 0
    for method, path, names, query in operations:
        if path in (STRIPE, RAZORPAY):
            continue
        address = path
        while "{" in address:
            before, _, rest = address.partition("{")
            address = before + CANARY.replace(" ", "%20") + rest.partition("}")[2]
        tries: list[tuple[str, Any]] = [(address, dict.fromkeys(names, wrong)) for wrong in WRONG]
        tries += [(f"{address}?{name}={CANARY.replace(' ', '%20')}", None) for name in query]
        for where, body in tries:
            answer = caller.request(method, where, body, Idempotency_Key="try-12345")
            if answer.status >= 400:
                refused += 1
                assert answer.status < 500, (method, where, body)
                values = [answer.error["message"], *(each["message"] for each in answer.error["details"])]
                assert not [each for each in values if "canary" in each], (method, where, values)
    assert refused > 300


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('"peanut" is not a valid choice.', "This value is not a valid choice."),
        ("“peanut” is not a valid UUID.", "This value is not a valid UUID."),
        ("This field may not be blank.", "This field may not be blank."),
    ],
)
def test_words_of_others_are_told_without_the_value(said, told):
    assert message(said) == told
