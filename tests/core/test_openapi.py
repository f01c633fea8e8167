"""GET /v1/openapi.json and /v1/docs: the document agrees with what the program does."""

import re
import warnings

import jsonschema_rs
import orjson
import pytest
from django.core.management import call_command
from django.urls import get_resolver

from tests.factories import ActivityFactory, ChildFactory, LocationFactory, OfferingFactory, SessionFactory

pytestmark = pytest.mark.django_db

# Answers that other programs read, which know no envelope.
FILES = {
    "get /v1/attachments/{token} 200": "application/octet-stream",
    "get /v1/calendars/{token}.ics 200": "text/calendar",
    "get /v1/exports/{token} 200": "application/zip",
}


@pytest.fixture
def document(api):
    return orjson.loads(api.client.get("/v1/openapi.json").content)


def test_it_is_openapi_3_1_without_a_warning(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json")
    assert '"openapi": "3.1.0"' in capsys.readouterr().out


def test_every_address_under_v1_stands_in_it(document):
    served = {
        "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(prefix.pattern) + str(route.pattern))
        for prefix in get_resolver().url_patterns
        for route in getattr(prefix, "url_patterns", [])
        if str(prefix.pattern) == "v1/"
    }
    described = {re.sub(r"\{pk\}", "{id}", path) for path in served} - {"/v1/openapi.json", "/v1/docs"}
    assert described <= set(document["paths"])


def test_every_answer_is_in_the_envelope(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                where = f"{method} {path} {status}"
                if where in FILES:
                    assert set(answer["content"]) == {FILES[where]}
                    continue
                schema = answer["content"]["application/json"]["schema"]
                if status.startswith("2"):
                    assert {"success", "data"} <= set(schema["required"]), where
                elif path != "/health/ready":
                    assert schema == {"$ref": "#/components/schemas/Error"}, where


def test_names_are_in_camel_case(document):
    names = {name for schema in document["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert [name for name in names if "_" in name] == []
    assert {"homeRegion", "priceFromCents", "nextSessionAt"} <= names


def answer_schema(document, path, status="200"):
    schema = document["paths"][path]["get"]["responses"][status]["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("/v1/countries", "/v1/countries"),
        ("/v1/cities", "/v1/cities?country=US"),
        ("/v1/categories", "/v1/categories"),
        ("/v1/activities", "/v1/activities"),
        ("/v1/activities/{key}", "/v1/activities/swim-starters"),
        ("/v1/activities/{activity_id}/sessions", "/v1/activities/{id}/sessions"),
        ("/v1/providers/{slug}", "/v1/providers/blue-fin"),
        ("/v1/me", "/v1/me"),
        ("/v1/me/region", "/v1/me/region"),
        ("/v1/me/children", "/v1/me/children"),
    ],
)
def test_real_answers_fit_their_schema(api, document, path, address):
    activity = ActivityFactory(title="Swim Starters", provider__slug="blue-fin")
    LocationFactory(provider=activity.provider, is_default=True)
    SessionFactory(offering=OfferingFactory(activity=activity))
    caller = api.as_user(ChildFactory().parent.user)
    answer = caller.get(address.replace("{id}", str(activity.pk)))
    assert answer.status == 200
    jsonschema_rs.validate(answer_schema(document, path), answer.body)


def test_a_real_error_fits_its_schema(api, document):
    jsonschema_rs.validate(document["components"]["schemas"]["Error"], api.get("/v1/activities?age=x").body)


def test_the_page_asks_nobody_else_for_anything(api):
    page = api.client.get("/v1/docs").content.decode()
    assert "swagger-ui" in page
    assert re.findall(r"(?:src|href)=\"((?:https?:)?//[^\"]+)\"", page) == []


def test_the_errors_of_an_endpoints_own_rules_are_named(document):
    told = document["paths"]["/v1/me/bookings"]["post"]["responses"]
    assert told["409"]["description"].split(", ") == [
        "IDEMPOTENCY_IN_PROGRESS",
        "SESSION_FULL",
        "SESSION_NOT_BOOKABLE",
        "ALREADY_BOOKED",
        "AGE_NOT_ELIGIBLE",
        "CROSS_REGION_BOOKING",
    ]
    assert told["422"]["description"] == "IDEMPOTENCY_KEY_REUSED"
    assert "REGION_MISMATCH" in told["403"]["description"]
    assert (
        "INVALID_SIGNATURE"
        in document["paths"]["/v1/payments/webhook/stripe"]["post"]["responses"]["400"]["description"]
    )
