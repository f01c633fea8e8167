"""Every answer is in the envelope, whatever was asked and however badly."""

import uuid

import psycopg
import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.envelope import Verbatim, camelize_key, snake_key, to_json
from juniro.urls import urlpatterns as real_urlpatterns
from tests.conftest import free_port
from tests.factories import ConsentFactory, CountryFactory, UserFactory
from users.models import Child

pytestmark = pytest.mark.django_db

ME = "/v1/me"
CHILDREN = "/v1/me/children"


class Crash(APIView):
    authentication_classes: list = []
    permission_classes: list = []

    def get(self, request: Request, how: str) -> Response:
        if how == "bug":
            raise ZeroDivisionError("the secret inside")
        if how == "slow":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = '50ms'")
                cursor.execute("SELECT pg_sleep(5)")
        if how == "dead":
            with connection.wrap_database_errors:
                psycopg.connect(host="127.0.0.1", port=free_port(), user="secret", connect_timeout=1)
        if how == "verbatim":
            return Response({"field_name": Verbatim({"MESSAGING_ENABLED": 1, "a_b": {"c_d": 2}})})
        return Response({"unserializable": object()})


def plain_crash(request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("the secret inside")


urlpatterns = [*real_urlpatterns, path("v1/crash/<str:how>", Crash.as_view()), path("v1/plain-crash", plain_crash)]
handler400 = "core.exceptions.bad_request"
handler403 = "core.exceptions.permission_denied"
handler404 = "core.exceptions.not_found"
handler500 = "core.exceptions.server_error"


@pytest.fixture
def crashing(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def caller(api):
    return api.as_user(ConsentFactory().user)


# --- Addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["/", "/v1", "/v1/", "/v1/nothing", "/v2/me", "/v1/me/", "/v1/countries/", "/V1/me", "//v1/me", "/v1/%2e%2e"],
)
def test_an_unknown_address_is_not_found(api, address):
    answer = api.get(address)
    assert answer.code == (404, "NOT_FOUND")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.error == {"code": "NOT_FOUND", "message": "There is nothing here.", "details": []}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_verb_that_is_not_served_is_named_with_those_that_are(api, method):
    answer = api.request(method, "/v1/countries", {})
    assert answer.code == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_an_invented_verb_is_not_allowed(api):
    assert api.request("BREW", "/v1/countries").code == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    "address", ["/v1/activities/a%00b", "/v1/activities?q=%00", "/v1/activities?q=a&%00=1", "/%00"]
)
def test_a_nul_in_the_address_is_malformed(api, address):
    assert api.get(address).code == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    "address", ["/v1/activities/%ff%fe", "/v1/activities?q=%ff", "/v1/activities?q=%ED%A0%80", "/v1/%F0%9F"]
)
def test_bytes_that_are_no_utf8_in_the_address_do_no_harm(api, address):
    assert api.get(address).status in (200, 404)


# --- Bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"}",
        b"{]",
        b'{"firstName": "Mia",}',
        b"{'firstName': 'Mia'}",
        b'{"firstName": "Mia"} {}',
        b'{"firstName": "\xff\xfe"}',
        b"\xef\xbb\xbf{}",
        b'{"firstName": "\xed\xa0\x80"}',
        b'{"firstName": "\\ud800"}',
        b'{"firstName": "\\udc00\\ud800"}',
        b'{"firstName": NaN}',
        b'{"firstName": Infinity}',
        b'{"firstName": "a\nb"}',
        b"firstName=Mia",
        b'{"firstName": "\x00"}',
        b'{"firstName": "\\u0000"}',
        b'{"a\\u0000": 1}',
        b"\x00",
        '{"firstName": "Mia"}'.encode("utf-16"),
        b"[" * 100_000,
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b'{"interests":' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"firstName": "A", "first_name": "B"}',
        b'{"interests": [{"categoryId": 1, "category_id": 2}]}',
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_a_body_that_cannot_be_read_is_malformed(caller, raw):
    answer = caller.patch(ME, raw=raw)
    assert answer.code == (400, "MALFORMED_REQUEST")
    assert answer.error["details"] == []
    assert caller.get(ME).data["firstName"] == "Ana"


@pytest.mark.parametrize("body", [[], [{}], "text", 1, 1.5, True, False, None, [[]]], ids=repr)
def test_a_body_that_is_no_object_is_not_valid(caller, body):
    for path_ in (ME, CHILDREN):
        answer = caller.request("PATCH" if path_ == ME else "POST", path_, raw=to_json(body))
        assert answer.code == (400, "VALIDATION_ERROR")
        assert answer.error["message"]


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 400, b"-" + b"9" * 30, b"1" + b"0" * 5000, b"0.1e-500"])
def test_huge_numbers_do_no_harm(caller, number):
    for field in (b"birthDate", b"firstName", b"phone"):
        answer = caller.post(CHILDREN, raw=b'{"firstName": "Mia", "%s": %s}' % (field, number))
        assert answer.status == 400
    session = b'{"sessionId": %s, "childId": %s}' % (number, number)
    assert caller.post("/v1/me/bookings", raw=session, Idempotency_Key="one").status == 400
    assert Child.objects.count() == 0


def test_an_empty_body_is_an_empty_object(caller):
    answer = caller.post(CHILDREN, raw=b"")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert {detail["field"] for detail in answer.error["details"]} == {"firstName", "birthDate"}


def test_a_body_of_one_mebibyte_is_read_and_one_byte_more_is_not(caller):
    start, end = b'{"firstName": "', b'"}'
    fits = start + b"x" * (1024 * 1024 - len(start) - len(end)) + end
    assert len(fits) == 1024 * 1024
    assert caller.patch(ME, raw=fits).code == (400, "VALIDATION_ERROR")
    answer = caller.patch(ME, raw=fits + b" ")
    assert answer.code == (413, "PAYLOAD_TOO_LARGE")
    assert answer.error["details"] == []


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        "*/*",
    ],
)
def test_another_media_type_is_refused(caller, content_type):
    answer = caller.patch(ME, raw=b'{"firstName": "Eve"}', Content_Type=content_type)
    assert answer.code == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert caller.get(ME).data["firstName"] == "Ana"


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"]
)
def test_json_is_read_with_any_parameter(caller, content_type):
    assert caller.patch(ME, raw=b'{"firstName": "Eva"}', Content_Type=content_type).status == 200


def test_texts_of_any_script_come_back_as_they_were_sent(caller):
    name = "Zoë 👩‍👧 ज़ोया \u202e\"'<script>;--%s{}"
    assert caller.patch(ME, {"firstName": name}).data["firstName"] == name
    assert caller.get(ME).data["firstName"] == name


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*", "*/*;q=0", ""])
def test_json_is_answered_whatever_is_asked_for(api, accept):
    answer = api.get("/v1/countries", Accept=accept)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


def test_unknown_fields_are_listed_by_the_names_that_were_sent(caller):
    answer = caller.post(CHILDREN, {"firstName": "Mia", "birthDate": "2018-05-01", "home_region": "us", "isStaff": 1})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert {detail["field"] for detail in answer.error["details"]} == {"homeRegion", "isStaff"}


def test_a_thousand_unknown_fields_do_not_make_a_thousand_details(caller):
    answer = caller.patch(ME, {f"field{number}": 1 for number in range(1000)})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert len(answer.error["details"]) == 20


# --- Crashes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["bug", "unserializable"])
def test_a_crash_tells_nothing_of_the_inside(api, crashing, how):
    answer = api.get(f"/v1/crash/{how}")
    assert answer.code == (500, "INTERNAL_ERROR")
    assert answer.error == {"code": "INTERNAL_ERROR", "message": "Something went wrong on our side.", "details": []}
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-ID"]


def test_a_crash_outside_of_rest_framework_is_in_the_envelope_too(api, crashing):
    answer = api.get("/v1/plain-crash")
    assert answer.error == {"code": "INTERNAL_ERROR", "message": "Something went wrong on our side.", "details": []}


def test_a_statement_that_takes_too_long_is_unavailable(api, crashing):
    answer = api.get("/v1/crash/slow")
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"


def test_a_database_that_is_not_there_is_unavailable(api, crashing):
    answer = api.get("/v1/crash/dead")
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert "127.0.0.1" not in answer.content.decode() and "secret" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_lost_database_is_unavailable_and_then_back(api):
    user = UserFactory()
    caller = api.as_user(user)
    port = connection.settings_dict["PORT"]
    connection.close()
    try:
        connection.settings_dict["PORT"] = free_port()
        for answer in (api.get("/v1/countries"), caller.get(ME), caller.patch(ME, {"firstName": "Eva"})):
            assert answer.code == (503, "SERVICE_UNAVAILABLE")
            assert answer.headers["Retry-After"] == "5"
        assert api.get("/health").status == 200
    finally:
        connection.settings_dict["PORT"] = port
    assert caller.get(ME).data["firstName"] == "Ana"


# --- Request ids ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["caller-1", "A.b_c-" * 20, "0" * 128])
def test_a_request_id_is_echoed(api, given):
    assert api.get("/health", X_Request_ID=given).headers["X-Request-ID"] == given
    assert api.get("/v1/nothing", X_Request_ID=given).headers["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given", [None, "", "short", "0" * 129, "has blank 1", "ünicode-1", "<script>", "a\tb-cdefg", "12345678\n"]
)
def test_any_other_request_id_is_replaced(api, given):
    answers = [api.get("/v1/me", **({"X_Request_ID": given} if given is not None else {})) for _ in range(2)]
    first, second = (answer.headers["X-Request-ID"] for answer in answers)
    assert uuid.UUID(first) != uuid.UUID(second)


# --- Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("snake", "camel"),
    [("id", "id"), ("home_region", "homeRegion"), ("price_from_cents", "priceFromCents"), ("a_b_c", "aBC"), ("q", "q")],
)
def test_names_have_two_spellings(snake, camel):
    assert camelize_key(snake) == camel
    if snake != "a_b_c":
        assert snake_key(camel) == snake
    assert snake_key(snake) == snake


def test_keys_that_are_data_are_not_renamed(api, crashing):
    answer = api.get("/v1/crash/verbatim")
    assert answer.data == {"fieldName": {"MESSAGING_ENABLED": 1, "a_b": {"c_d": 2}}}


# --- Lists and validators -------------------------------------------------------------------------------------------


@pytest.fixture
def countries():
    return [CountryFactory(code=code, name=f"Country {code}") for code in ("AA", "BB", "CC")]


@pytest.mark.parametrize(
    ("query", "codes", "meta"),
    [
        ("", ["AA", "BB", "CC"], {"page": 1, "limit": 20, "total": 3}),
        ("?limit=2", ["AA", "BB"], {"page": 1, "limit": 2, "total": 3}),
        ("?limit=2&page=2", ["CC"], {"page": 2, "limit": 2, "total": 3}),
        ("?limit=2&page=3", [], {"page": 3, "limit": 2, "total": 3}),
        ("?limit=100&page=100000", [], {"page": 100000, "limit": 100, "total": 3}),
        ("?limit=1&page=1", ["AA"], {"page": 1, "limit": 1, "total": 3}),
    ],
)
def test_a_list_comes_in_pages(api, countries, query, codes, meta):
    answer = api.get(f"/v1/countries{query}")
    assert [country["code"] for country in answer.data] == codes
    assert answer.meta == meta


@pytest.mark.parametrize("name", ["page", "limit"])
@pytest.mark.parametrize("value", ["0", "-1", "101x", "1.5", "1e3", "x", "٣", "9" * 30, "%20", "+1", "0x10", "null"])
def test_a_page_that_makes_no_sense_is_refused(api, name, value):
    answer = api.get(f"/v1/countries?{name}={value}")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in answer.error["details"]] == [name]


def test_more_than_a_hundred_at_once_are_refused(api):
    assert api.get("/v1/countries?limit=101").code == (400, "VALIDATION_ERROR")
    assert api.get("/v1/countries?page=100001").code == (400, "VALIDATION_ERROR")


def test_an_unknown_parameter_is_refused(api):
    answer = api.get("/v1/countries?pageSize=3")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert "Known ones: limit, page" in answer.error["details"][0]["message"]


def test_a_public_read_carries_validators(api, countries):
    answer = api.get("/v1/countries")
    assert answer.headers["Cache-Control"] == "public, max-age=60, stale-while-revalidate=300"
    assert answer.headers["ETag"].startswith('"')
    again = api.get("/v1/countries")
    assert (again.headers["ETag"], again.content) == (answer.headers["ETag"], answer.content)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a",W/{},"b"', "*"])
def test_who_has_the_bytes_gets_304_without_them(api, countries, form):
    etag = api.get("/v1/countries").headers["ETag"]
    answer = api.get("/v1/countries", If_None_Match=form.format(etag))
    assert (answer.status, answer.content) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert "public" in answer.headers["Cache-Control"]
    assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize("tag", ['"other"', "", "rubbish", '""'])
def test_who_has_other_bytes_gets_these(api, countries, tag):
    assert api.get("/v1/countries", If_None_Match=tag).status == 200


def test_a_change_changes_the_etag(api, countries):
    etag = api.get("/v1/countries").headers["ETag"]
    CountryFactory(code="DD", name="Country DD")
    assert api.get("/v1/countries", If_None_Match=etag).status == 200


def test_errors_and_private_reads_are_not_for_public_caches(api, caller):
    for answer in (api.get("/v1/countries?x=1"), api.get("/v1/nothing"), caller.get(ME)):
        assert "public" not in answer.headers.get("Cache-Control", "")
        assert "ETag" not in answer.headers


def test_head_has_the_headers_of_get(api, countries):
    head, get = api.request("HEAD", "/v1/countries"), api.get("/v1/countries")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]


# --- Other origins --------------------------------------------------------------------------------------------------


def test_a_known_origin_may_ask_with_our_headers(api, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.juniro.com"]
    answer = api.request(
        "OPTIONS",
        "/v1/me/bookings",
        Origin="https://app.juniro.com",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization, idempotency-key, content-type",
    )
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.juniro.com"
    assert {"authorization", "idempotency-key", "x-request-id"} <= set(
        answer.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_an_unknown_origin_gets_no_leave(api, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.juniro.com"]
    for origin in ("https://evil.example", "https://app.juniro.com.evil.example", "null"):
        answer = api.request("OPTIONS", "/v1/me", Origin=origin, Access_Control_Request_Method="GET")
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Origin" not in api.get("/v1/countries", Origin=origin).headers


def test_a_known_origin_may_read_our_headers(api, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://app.juniro.com"]
    answer = api.get("/v1/countries", Origin="https://app.juniro.com")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.juniro.com"
    assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers["Vary"] or "origin" in answer.headers["Vary"]


# --- Verbs that ask about others ------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [ME, CHILDREN, "/v1/me/consents", "/v1/me/bookings", "/v1/countries"])
def test_options_and_head_do_no_harm(caller, address):
    assert caller.request("OPTIONS", address).status == 200
    head = caller.request("HEAD", address)
    assert (head.status, head.content) == (200, b"")


def test_options_needs_the_sign_in_that_the_others_need(api):
    assert api.request("OPTIONS", ME).code == (401, "UNAUTHORIZED")


def test_a_foreign_host_is_refused_but_health_is_asked_for_by_address(api, settings):
    settings.ALLOWED_HOSTS = ["api.us.juniro.com"]
    assert api.get("/v1/countries", Host="evil.example").code == (400, "MALFORMED_REQUEST")
    assert api.get("/v1/countries", Host="api.us.juniro.com").status == 200
    assert api.get("/health", Host="10.0.0.7").status == 200
