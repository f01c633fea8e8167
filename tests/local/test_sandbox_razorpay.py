import hashlib
import hmac
import json
import time
import uuid

import pytest
import razorpay
import requests

SECRET = "whsec_razorpay_sandbox"
TIMEOUT = {"timeout": (3, 10)}


def client_of(sandbox, auth=("rzp_test_sandbox", "secret_sandbox")):
    return razorpay.Client(auth=auth, base_url=f"{sandbox.base}/razorpay")


@pytest.fixture
def client(sandbox):
    return client_of(sandbox)


def order_data(**changes):
    receipt = str(uuid.uuid4())
    return {"amount": 150_000, "currency": "INR", "receipt": receipt, "notes": {"payment_id": receipt}} | changes


def paid(sandbox, client, **fields):
    """The id of a captured payment and of its order."""
    order = client.order.create(order_data(), **TIMEOUT)
    payment = sandbox.pay(order["id"], **fields)[1]["paymentId"]
    sandbox.delivered(order["id"], 3)
    return payment, order["id"]


def told(sandbox, order_id, count):
    """The bodies of the webhooks about an order, parsed."""
    return [json.loads(body) for _, _, body in sandbox.delivered(order_id, count)]


def test_an_order_is_created_and_can_be_fetched(client):
    data = order_data()
    order = client.order.create(data, **TIMEOUT)

    assert order["id"].startswith("order_") and len(order["id"]) == 20
    assert {name: order[name] for name in data} == data
    assert (order["entity"], order["status"], order["attempts"]) == ("order", "created", 0)
    assert (order["amount_paid"], order["amount_due"]) == (0, 150_000)
    assert client.order.fetch(order["id"], **TIMEOUT) == order
    assert client.order.payments(order["id"], **TIMEOUT) == {"entity": "collection", "count": 0, "items": []}


def test_an_order_whose_answer_was_lost_is_found_by_its_receipt(client):
    order = client.order.create(order_data(), **TIMEOUT)

    assert client.order.all({"receipt": order["receipt"]}, **TIMEOUT)["items"] == [order]
    assert client.order.all({"receipt": "unknown"}, **TIMEOUT)["count"] == 0


def test_the_same_receipt_twice_makes_two_orders(client):
    data = order_data()
    for _ in range(2):
        client.order.create(data, **TIMEOUT)

    assert client.order.all({"receipt": data["receipt"]}, **TIMEOUT)["count"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amount": 99}, "Order amount less than minimum amount allowed"),
        ({"amount": 12.5}, "The amount must be an integer."),
        ({"currency": "XXX"}, "Currency is not supported"),
        ({"receipt": "x" * 41}, "The receipt may not be greater than 40 characters."),
        ({"notes": {str(number): "x" for number in range(16)}}, "Number of fields in notes"),
        ({"holder": "x"}, "holder is/are not required and should not be sent"),
    ],
)
def test_an_order_that_razorpay_would_refuse_is_refused(client, changes, message):
    with pytest.raises(razorpay.errors.BadRequestError, match=message):
        client.order.create(order_data(**changes), **TIMEOUT)


def test_errors_have_razorpays_shape(sandbox):
    auth = ("rzp_test_sandbox", "secret_sandbox")
    answer = requests.post(f"{sandbox.base}/razorpay/v1/orders", json={"amount": 1}, auth=auth, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "BAD_REQUEST_ERROR",
        "description": "The currency field is required.",
        "source": "business",
        "step": "payment_initiation",
        "reason": "input_validation_failed",
        "metadata": {},
        "field": "currency",
    }


def test_a_wrong_key_is_401(sandbox):
    with pytest.raises(razorpay.errors.BadRequestError, match="Authentication failed"):
        client_of(sandbox, ("rzp_test_sandbox", "wrong")).order.all(**TIMEOUT)
    assert requests.get(f"{sandbox.base}/razorpay/v1/orders", timeout=5).status_code == 401


def test_what_does_not_exist_is_a_bad_request(client):
    for resource in (client.order, client.payment, client.refund):
        with pytest.raises(razorpay.errors.BadRequestError, match="The id provided does not exist"):
            resource.fetch("nothing", **TIMEOUT)


def test_a_paid_order_tells_in_three_webhooks_that_verify(sandbox, client):
    order = client.order.create(order_data(), **TIMEOUT)
    answer = sandbox.pay(order["id"])[1]

    arrived = sandbox.delivered(order["id"], 3)
    for path, headers, body in arrived:
        assert (path, headers["content-type"]) == ("/hooks/razorpay", "application/json")
        assert hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest() == headers["x-razorpay-signature"]
        assert client.utility.verify_webhook_signature(body.decode(), headers["x-razorpay-signature"], SECRET)
    assert [headers["x-razorpay-event-id"] for _, headers, _ in arrived] == [event["id"] for event in answer["events"]]
    events = [json.loads(body) for _, _, body in arrived]
    assert [event["event"] for event in events] == ["payment.authorized", "payment.captured", "order.paid"]
    assert [event["contains"] for event in events] == [["payment"], ["payment"], ["payment", "order"]]
    assert {event["entity"] for event in events} == {"event"}
    assert len({event["account_id"] for event in events}) == 1
    payments = [event["payload"]["payment"]["entity"] for event in events]
    assert [(payment["status"], payment["captured"]) for payment in payments] == [
        ("authorized", False),
        ("captured", True),
        ("captured", True),
    ]
    assert {(payment["id"], payment["order_id"]) for payment in payments} == {(answer["paymentId"], order["id"])}
    assert payments[0]["notes"] == order["notes"]
    assert events[2]["payload"]["order"]["entity"] == client.order.fetch(order["id"], **TIMEOUT)
    assert events[2]["payload"]["order"]["entity"]["status"] == "paid"
    assert client.payment.fetch(answer["paymentId"], **TIMEOUT) == payments[2]
    assert client.order.payments(order["id"], **TIMEOUT)["items"] == [payments[2]]


def test_payloads_carry_personal_fields_that_need_stripping(sandbox, client):
    upi, _ = paid(sandbox, client)
    card, _ = paid(sandbox, client, method="card")
    by_upi, by_card = client.payment.fetch(upi, **TIMEOUT), client.payment.fetch(card, **TIMEOUT)

    assert (by_upi["method"], by_upi["vpa"]) == ("upi", "zoe.parent@okbank")
    assert by_upi["upi"]["vpa"] == "zoe.parent@okbank"
    assert (by_card["method"], by_card["vpa"], by_card["card"]["last4"]) == ("card", None, "1111")
    assert by_card["card"]["name"] == "Zoë Parent"
    for payment in (by_upi, by_card):
        assert (payment["email"], payment["contact"]) == ("zoe.parent@example.com", "+919876543210")


def test_the_handlers_signature_verifies(sandbox, client):
    order = client.order.create(order_data(), **TIMEOUT)
    handler = sandbox.pay(order["id"])[1]["handler"]

    assert client.utility.verify_payment_signature(handler)
    with pytest.raises(razorpay.errors.SignatureVerificationError):
        client.utility.verify_payment_signature(handler | {"razorpay_payment_id": "pay_other"})


def test_a_declined_payment_leaves_the_order_to_be_tried_again(sandbox, client):
    order = client.order.create(order_data(), **TIMEOUT)
    failed = sandbox.pay(order["id"], "decline")[1]

    assert told(sandbox, order["id"], 1)[0]["event"] == "payment.failed"
    payment = client.payment.fetch(failed["paymentId"], **TIMEOUT)
    assert (payment["status"], payment["error_code"]) == ("failed", "BAD_REQUEST_ERROR")
    assert client.order.fetch(order["id"], **TIMEOUT)["status"] == "attempted"
    second = sandbox.pay(order["id"])[1]
    assert (second["status"], second["paymentId"] == failed["paymentId"]) == ("paid", False)


def test_a_full_refund_is_told_twice_and_cannot_be_repeated(sandbox, client):
    payment, order = paid(sandbox, client)
    refund = client.payment.refund(payment, {"notes": {"refund_id": "r1"}, "receipt": "r1"}, **TIMEOUT)

    assert refund["id"].startswith("rfnd_")
    assert (refund["amount"], refund["status"], refund["payment_id"]) == (150_000, "processed", payment)
    events = told(sandbox, order, 5)[3:]
    assert [event["event"] for event in events] == ["refund.created", "refund.processed"]
    assert [event["contains"] for event in events] == [["refund", "payment"]] * 2
    assert events[1]["payload"]["refund"]["entity"] == client.refund.fetch(refund["id"], **TIMEOUT)
    assert client.payment.fetch(payment, **TIMEOUT)["refund_status"] == "full"
    with pytest.raises(razorpay.errors.BadRequestError, match="fully refunded already"):
        client.payment.refund(payment, {}, **TIMEOUT)


def test_partial_refunds_add_up_to_the_payment_and_no_further(sandbox, client):
    payment, _ = paid(sandbox, client)
    for amount in (100_000, 20_000):
        client.payment.refund(payment, {"amount": amount}, **TIMEOUT)

    with pytest.raises(razorpay.errors.BadRequestError, match="greater than the refund payment amount"):
        client.payment.refund(payment, {"amount": 30_001}, **TIMEOUT)
    refunds = client.payment.fetch_multiple_refund(payment, **TIMEOUT)["items"]
    assert [refund["amount"] for refund in refunds] == [20_000, 100_000]
    assert client.payment.fetch(payment, **TIMEOUT)["refund_status"] == "partial"


def test_a_refund_with_the_same_idempotency_header_happens_once(sandbox, client):
    payment, _ = paid(sandbox, client)
    key = {"X-Refund-Idempotency": str(uuid.uuid4())}
    first, second = (client.payment.refund(payment, {"amount": 100}, headers=dict(key), **TIMEOUT) for _ in range(2))

    assert first == second
    assert client.payment.fetch_multiple_refund(payment, **TIMEOUT)["count"] == 1
    with pytest.raises(razorpay.errors.BadRequestError, match="Different request body"):
        client.payment.refund(payment, {"amount": 200}, headers=dict(key), **TIMEOUT)
    with pytest.raises(razorpay.errors.BadRequestError, match="at least 10 characters"):
        client.payment.refund(payment, {}, headers={"X-Refund-Idempotency": "short"}, **TIMEOUT)


def test_a_failed_payment_cannot_be_refunded(sandbox, client):
    order = client.order.create(order_data(), **TIMEOUT)
    failed = sandbox.pay(order["id"], "decline")[1]["paymentId"]

    with pytest.raises(razorpay.errors.BadRequestError, match="should be captured"):
        client.payment.refund(failed, {}, **TIMEOUT)


def test_a_refund_that_the_bank_refuses_comes_back_to_the_payment(sandbox, client):
    sandbox.faults(refunds="fail")
    payment, order = paid(sandbox, client)
    refund = client.payment.refund(payment, {}, **TIMEOUT)

    assert refund["status"] == "pending"
    assert [event["event"] for event in told(sandbox, order, 5)[3:]] == ["refund.created", "refund.failed"]
    assert client.refund.fetch(refund["id"], **TIMEOUT)["status"] == "failed"
    now = client.payment.fetch(payment, **TIMEOUT)
    assert (now["status"], now["amount_refunded"], now["refund_status"]) == ("captured", 0, None)


def test_trouble_is_a_server_error_and_an_outage_is_no_json_at_all(sandbox, client):
    sandbox.faults(http500=1.0)
    with pytest.raises(razorpay.errors.ServerError):
        client.order.create(order_data(), **TIMEOUT)
    sandbox.faults(http500=0, razorpay="down")
    with pytest.raises(ValueError, match="Expecting value"):
        client.order.create(order_data(), **TIMEOUT)


def test_a_timed_out_order_was_made(sandbox, client):
    data = order_data()
    sandbox.faults(timeout=1.0, hang_seconds=1)
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.order.create(data, timeout=0.3)
    sandbox.faults(timeout=0)

    assert client.order.all({"receipt": data["receipt"]}, **TIMEOUT)["count"] == 1


def test_lists_are_paged_newest_first(client):
    since = int(time.time())
    orders = [client.order.create(order_data(), **TIMEOUT)["id"] for _ in range(3)]

    found = client.order.all({"count": 2, "skip": 1, "from": since}, **TIMEOUT)
    assert [order["id"] for order in found["items"]] == orders[1::-1]
    assert client.order.all({"to": since - 1000}, **TIMEOUT)["count"] == 0
