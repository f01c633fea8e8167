import json
import time
import uuid

import pytest
import stripe

SECRET = "whsec_sandbox"


def client_of(sandbox, key="sk_test_sandbox", timeout=(3, 10), retries=2):
    return stripe.StripeClient(
        key,
        base_addresses={"api": f"{sandbox.base}/stripe"},
        http_client=stripe.RequestsClient(timeout=timeout),
        max_network_retries=retries,
    )


@pytest.fixture
def client(sandbox):
    return client_of(sandbox)


def params(**changes):
    payment = str(uuid.uuid4())
    return {
        "mode": "payment",
        "success_url": "https://juniro.test/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://juniro.test/back",
        "client_reference_id": payment,
        "line_items": [
            {
                "price_data": {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "Pottery for two"}},
                "quantity": 1,
            }
        ],
        "metadata": {"payment_id": payment},
        "payment_intent_data": {"metadata": {"payment_id": payment}},
        "payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
        "expires_at": int(time.time()) + 1900,
    } | changes


def paid(sandbox, client):
    """A paid session, as retrieved."""
    session = client.v1.checkout.sessions.create(params())
    assert sandbox.pay(session.id)[0] == 200
    sandbox.delivered(session.id, 1)
    return client.v1.checkout.sessions.retrieve(session.id)


def kinds(entries):
    return [json.loads(body)["type"] for _, _, body in entries]


def about(sandbox, session_id):
    """Types of the deliveries about a session, once none of them is under way."""
    for _ in range(200):
        deliveries = sandbox.get(f"/deliveries?about={session_id}")["deliveries"]
        if all(delivery["status"] == "delivered" for delivery in deliveries):
            break
        time.sleep(0.02)
    return [delivery["type"] for delivery in deliveries]


def test_a_session_is_created_open_and_unpaid_with_a_page_to_pay_on(sandbox, client):
    wanted = params()
    session = client.v1.checkout.sessions.create(wanted)

    assert session.id.startswith("cs_test_")
    assert session.object == "checkout.session"
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.livemode) == (2500, "usd", False)
    assert session.url == f"{sandbox.base}/pay/{session.id}"
    assert session.expires_at == wanted["expires_at"]
    assert session.metadata.to_dict() == wanted["metadata"]
    assert session.last_response.headers["Request-Id"].startswith("req_")
    assert client.v1.checkout.sessions.retrieve(session.id).to_dict() == session.to_dict()


def test_the_same_idempotency_key_and_parameters_give_the_stored_answer(client):
    wanted, key = params(), str(uuid.uuid4())
    first = client.v1.checkout.sessions.create(wanted, {"idempotency_key": key})
    second = client.v1.checkout.sessions.create(wanted, {"idempotency_key": key})

    assert second.id == first.id
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert second.last_response.headers["Original-Request"] == first.last_response.headers["Request-Id"]


def test_an_idempotency_key_with_other_parameters_is_an_error(client):
    key = str(uuid.uuid4())
    client.v1.checkout.sessions.create(params(), {"idempotency_key": key})

    with pytest.raises(stripe.IdempotencyError) as caught:
        client.v1.checkout.sessions.create(params(), {"idempotency_key": key})
    assert caught.value.http_status == 400


def test_a_request_that_failed_validation_leaves_its_key_unused(client):
    key = str(uuid.uuid4())
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.create(params(expires_at=1), {"idempotency_key": key})

    assert client.v1.checkout.sessions.create(params(), {"idempotency_key": key}).status == "open"


def test_a_wrong_key_is_401(sandbox):
    with pytest.raises(stripe.AuthenticationError) as caught:
        client_of(sandbox, "sk_test_wrong").v1.events.list()
    assert caught.value.http_status == 401


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"holder": "x"}, "holder", "parameter_unknown"),
        ({"payment_intent_data": {"holder": "x"}}, "payment_intent_data[holder]", "parameter_unknown"),
        ({"expires_at": int(time.time()) + 1700}, "expires_at", None),
        ({"expires_at": int(time.time()) + 90_000}, "expires_at", None),
        ({"expires_at": "soon"}, "expires_at", "parameter_invalid_integer"),
        ({"success_url": "nowhere"}, "success_url", "url_invalid"),
        ({"mode": "subscription"}, "mode", None),
        ({"client_reference_id": ""}, "client_reference_id", "parameter_invalid_empty"),
        ({"metadata": {"x": "y" * 501}}, "metadata[x]", None),
    ],
)
def test_a_parameter_that_stripe_would_refuse_is_refused(client, changes, param, code):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(params(**changes))
    assert (caught.value.http_status, caught.value.param, caught.value.code) == (400, param, code)


@pytest.mark.parametrize("name", ["mode", "line_items", "success_url"])
def test_a_required_parameter_that_is_missing_is_named(client, name):
    wanted = params()
    del wanted[name]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(wanted)
    assert (caught.value.param, caught.value.code) == (name, "parameter_missing")


def test_less_than_fifty_cents_is_too_small(client):
    items = [{"price_data": {"currency": "usd", "unit_amount": 49, "product_data": {"name": "x"}}, "quantity": 1}]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(params(line_items=items))
    assert caught.value.code == "amount_too_small"


def test_a_price_by_id_is_not_known_here(client):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.create(params(line_items=[{"price": "price_1", "quantity": 1}]))
    assert (caught.value.param, caught.value.code) == ("line_items[0][price]", "parameter_unknown")


def test_what_does_not_exist_is_404(client):
    for service in (client.v1.checkout.sessions, client.v1.payment_intents, client.v1.refunds, client.v1.events):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            service.retrieve("nothing")
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_a_paid_session_tells_by_a_webhook_that_the_sdk_verifies(sandbox, client):
    wanted = params()
    session = client.v1.checkout.sessions.create(wanted)
    status, answer = sandbox.pay(session.id)

    ((path, headers, body),) = sandbox.delivered(session.id, 1)
    event = stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRET)
    assert status == 200
    assert answer["status"] == "paid"
    assert answer["events"] == [{"id": event.id, "type": "checkout.session.completed"}]
    assert (path, headers["content-type"]) == ("/hooks/stripe", "application/json")
    assert (event.type, event.livemode, event.data.object.id) == ("checkout.session.completed", False, session.id)
    assert event.data.object.payment_intent == answer["paymentId"]
    assert event.data.object.customer_details.email == "zoe.parent@example.com"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", headers["stripe-signature"], SECRET)

    now = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge", "line_items"]})
    assert (now.status, now.payment_status) == ("complete", "paid")
    assert now.line_items.data[0].description == "Pottery for two"
    intent = now.payment_intent
    assert (intent.status, intent.amount_received) == ("succeeded", 2500)
    assert intent.metadata.to_dict() == wanted["payment_intent_data"]["metadata"]
    assert (intent.latest_charge.paid, intent.latest_charge.payment_intent) == (True, intent.id)
    assert client.v1.charges.retrieve(intent.latest_charge.id).payment_method_details.card.last4 == "4242"


def test_a_declined_payment_leaves_the_session_open_and_keeps_the_intent(sandbox, client):
    wanted = params()
    session = client.v1.checkout.sessions.create(wanted)
    answer = sandbox.pay(session.id, "decline")[1]

    assert about(sandbox, session.id) == ["payment_intent.payment_failed"]
    event = client.v1.events.retrieve(answer["events"][0]["id"])
    assert event.data.object.metadata.to_dict() == wanted["metadata"]
    assert event.data.object.last_payment_error.code == "card_declined"
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert sandbox.pay(session.id)[1]["paymentId"] == answer["paymentId"]


def test_expiring_a_session_tells_once_and_cannot_be_done_twice(sandbox, client):
    session = client.v1.checkout.sessions.create(params())
    expired = client.v1.checkout.sessions.expire(session.id)

    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.checkout.sessions.expire(session.id)
    assert caught.value.http_status == 400
    assert kinds(sandbox.delivered(session.id, 1)) == ["checkout.session.expired"]


def test_a_full_refund_is_told_in_three_events_and_cannot_be_repeated(sandbox, client):
    session = paid(sandbox, client)
    refund = client.v1.refunds.create({"payment_intent": session.payment_intent, "metadata": {"refund_id": "r1"}})

    assert (refund.amount, refund.status, refund.metadata["refund_id"]) == (2500, "succeeded", "r1")
    assert about(sandbox, session.id)[1:] == ["refund.created", "charge.refunded", "refund.updated"]
    charge = client.v1.charges.retrieve(refund.charge)
    assert (charge.amount_refunded, charge.refunded) == (2500, True)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": session.payment_intent})
    assert (caught.value.http_status, caught.value.code) == (400, "charge_already_refunded")


def test_partial_refunds_add_up_to_the_charge_and_no_further(sandbox, client):
    intent = paid(sandbox, client).payment_intent
    for amount in (1000, 500):
        client.v1.refunds.create({"payment_intent": intent, "amount": amount})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent, "amount": 1001})
    assert caught.value.param == "amount"
    assert [refund.amount for refund in client.v1.refunds.list({"payment_intent": intent}).data] == [500, 1000]


def test_a_refund_with_the_same_key_happens_once(sandbox, client):
    session = paid(sandbox, client)
    wanted, options = {"payment_intent": session.payment_intent, "amount": 100}, {"idempotency_key": str(uuid.uuid4())}

    assert client.v1.refunds.create(wanted, options).id == client.v1.refunds.create(wanted, options).id
    assert len(client.v1.refunds.list({"payment_intent": session.payment_intent}).data) == 1


def test_an_unpaid_intent_cannot_be_refunded(sandbox, client):
    session = client.v1.checkout.sessions.create(params())
    intent = sandbox.pay(session.id, "decline")[1]["paymentId"]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.refunds.create({"payment_intent": intent})
    assert caught.value.code == "payment_intent_unexpected_state"


def test_a_refund_that_the_bank_refuses_comes_back_to_the_charge(sandbox, client):
    sandbox.faults(refunds="fail")
    session = paid(sandbox, client)
    refund = client.v1.refunds.create({"payment_intent": session.payment_intent})

    assert refund.status == "pending"
    assert about(sandbox, session.id)[1:] == ["refund.created", "charge.refunded", "refund.updated", "refund.failed"]
    assert client.v1.refunds.retrieve(refund.id).status == "failed"
    assert client.v1.charges.retrieve(refund.charge).amount_refunded == 0


def test_a_pending_refund_waits_for_its_settlement(sandbox, client):
    sandbox.faults(refunds="pending")
    session = paid(sandbox, client)
    refund = client.v1.refunds.create({"payment_intent": session.payment_intent})
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    assert about(sandbox, session.id)[1:] == ["refund.created", "charge.refunded"]
    assert sandbox.call("POST", f"/refunds/{refund.id}", b"action=succeed", form)[0] == 200
    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"
    assert about(sandbox, session.id)[3:] == ["refund.updated"]


def test_events_are_listed_newest_first_by_type_and_time_and_in_pages(sandbox, client):
    since = int(time.time())
    wanted = {"created": {"gte": since}, "types": ["checkout.session.completed", "checkout.session.expired"]}
    sessions = [paid(sandbox, client).id for _ in range(3)]

    first = client.v1.events.list(wanted | {"limit": 2})
    assert [event.data.object.id for event in first.data] == sessions[:0:-1]
    assert first.has_more is True
    everything = [event.data.object.id for event in first.auto_paging_iter()]
    assert everything[:3] == sessions[::-1]
    assert client.v1.events.list(wanted | {"created": {"gt": since + 100}}).data == []
    assert client.v1.events.list({"type": "charge.dispute.*", "created": {"gte": since}}).data == []


def test_an_event_can_be_missing_from_the_list_and_be_there_all_the_same(sandbox, client):
    since = int(time.time())
    sandbox.faults(unlisted=1.0)
    hidden = paid(sandbox, client)
    sandbox.faults(unlisted=0)
    shown = paid(sandbox, client)

    listed = client.v1.events.list({"created": {"gte": since}, "type": "checkout.session.completed"})
    about_sessions = [event.data.object.id for event in listed.auto_paging_iter()]
    assert (shown.id in about_sessions, hidden.id in about_sessions) == (True, False)
    assert about(sandbox, hidden.id) == ["checkout.session.completed"]


def test_sessions_are_listed_by_status(sandbox, client):
    session = client.v1.checkout.sessions.create(params())

    assert client.v1.checkout.sessions.list({"status": "open", "limit": 1}).data[0].id == session.id
    assert session.id not in [found.id for found in client.v1.checkout.sessions.list({"status": "complete"}).data]


def test_a_500_did_nothing_and_the_sdks_retry_succeeds(sandbox, client):
    sandbox.faults(http500=1.0)
    with pytest.raises(stripe.APIError) as caught:
        client_of(sandbox, retries=0).v1.events.list()
    assert caught.value.http_status == 500

    sandbox.faults(http500=0.5, seed=0)
    assert client.v1.checkout.sessions.create(params()).status == "open"


def test_a_stored_500_is_replayed_for_its_key_even_after_the_trouble(sandbox, client):
    wanted, key = params(), str(uuid.uuid4())
    sandbox.faults(stored500=1.0)
    with pytest.raises(stripe.APIError):
        client_of(sandbox, retries=0).v1.checkout.sessions.create(wanted, {"idempotency_key": key})
    sandbox.faults(stored500=0)
    with pytest.raises(stripe.APIError) as caught:
        client_of(sandbox, retries=0).v1.checkout.sessions.create(wanted, {"idempotency_key": key})

    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert client.v1.checkout.sessions.create(wanted, {"idempotency_key": str(uuid.uuid4())}).status == "open"


def test_a_timed_out_request_was_done_and_its_key_gives_the_answer(sandbox, client):
    wanted, key = params(), str(uuid.uuid4())
    sandbox.faults(timeout=1.0, hang_seconds=1)
    with pytest.raises(stripe.APIConnectionError):
        client_of(sandbox, timeout=0.3, retries=0).v1.checkout.sessions.create(wanted, {"idempotency_key": key})
    sandbox.faults(timeout=0)

    session = client.v1.checkout.sessions.create(wanted, {"idempotency_key": key})
    assert session.last_response.headers["Idempotent-Replayed"] == "true"
    assert session.client_reference_id == wanted["client_reference_id"]
