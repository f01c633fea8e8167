"""The OpenAPI document tells the truth about daily work: real answers fit it, files included."""

import jsonschema_rs
import orjson
import pytest

from bookings.models import Seat
from payments.models import Refund
from tests.bookings.test_roster import family
from tests.factories import (
    BookingFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    ReviewFactory,
    SessionFactory,
    in_days,
)

pytestmark = pytest.mark.django_db(databases=["default", "global"])


BOOKING = "01a1fd7b-0000-7000-8000-000000000001"
REVIEW = "01a1fd7b-0000-7000-8000-000000000002"


@pytest.fixture
def document(api):
    return orjson.loads(api.client.get("/v1/openapi.json").content)


@pytest.fixture
def desk(api):
    """A day's work: a child with details, a removed one, a hold, a refund, an absence, a review."""
    member = ProviderUserFactory()
    offering = OfferingFactory(activity__provider=member.provider_account)
    session = SessionFactory(offering=offering, starts_at=in_days(-0.01))
    booking = BookingFactory(pk=BOOKING, session=session, child=family(), status="confirmed")
    payment = PaymentFactory(booking=booking, status="paid")
    Refund.objects.create(payment=payment, amount_cents=1, currency="USD", reason="x")
    Seat.objects.update(attendance="absent", attendance_at=in_days(0))
    gone = BookingFactory(session=session, status="confirmed")
    type(gone.child).objects.filter(pk=gone.child_id).update(removed_at=in_days(0), birth_date=None)
    BookingFactory(session=session)
    over = BookingFactory(session=SessionFactory(offering=offering), status="completed")
    ReviewFactory(pk=REVIEW, booking=over)
    desk = api.as_user(member.user)
    desk.session = session
    return desk


def told(document, method, path, status, media="application/json"):
    schema = document["paths"][path][method]["responses"][status]["content"][media]["schema"]
    return {**schema, "components": document["components"]}


@pytest.mark.parametrize(
    ("method", "path", "given", "body"),
    [
        ("get", "/v1/provider/sessions/{session_id}/roster", None, None),
        (
            "post",
            "/v1/provider/sessions/{session_id}/attendance",
            None,
            {"entries": [{"bookingId": BOOKING, "status": None}]},
        ),
        ("get", "/v1/provider/bookings", None, None),
        ("get", "/v1/provider/bookings/{id}", BOOKING, None),
        ("get", "/v1/provider/reviews", None, None),
        ("post", "/v1/provider/reviews/{review_id}/response", REVIEW, {"response": "Thanks"}),
        ("get", "/v1/provider/dashboard", None, None),
        ("post", "/v1/provider/calendar", None, {}),
        ("post", "/v1/me/calendar", None, {}),
        ("delete", "/v1/provider/calendar", None, None),
        ("delete", "/v1/me/calendar", None, None),
    ],
)
def test_real_answers_fit_their_schema(desk, document, method, path, given, body):
    values = {"session_id": desk.session.pk, "id": given, "review_id": given}
    answer = desk.request(method.upper(), path.format(**values), body)
    assert answer.status in (200, 201), answer.body
    jsonschema_rs.validate(told(document, method, path, str(answer.status)), answer.body)


def test_files_are_told_as_well(document):
    def media(path):
        return set(document["paths"][path]["get"]["responses"]["200"]["content"])

    assert media("/v1/provider/sessions/{session_id}/roster") == {"application/json", "text/csv", "text/html"}
    assert media("/v1/provider/bookings") == {"application/json", "text/csv"}
    assert media("/v1/calendars/{token}.ics") == {"text/calendar"}


def test_what_an_endpoint_refuses_is_told(document):
    def codes(method, path):
        answers = document["paths"][path][method]["responses"]
        return {status: answers[status]["description"] for status in answers if status >= "4"}

    assert "INVALID_STATE" in codes("post", "/v1/provider/sessions/{session_id}/attendance")["409"]
    assert "INVALID_STATE" in codes("post", "/v1/provider/reviews/{review_id}/response")["409"]
    for path in ("/v1/provider/bookings", "/v1/provider/dashboard", "/v1/provider/reviews"):
        assert {"400", "401", "403", "404", "429"} <= set(codes("get", path))
    assert {"404", "429"} <= set(codes("get", "/v1/calendars/{token}.ics"))
    assert "401" not in codes("get", "/v1/calendars/{token}.ics")
