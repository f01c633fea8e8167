import concurrent.futures
import json
import sqlite3
import time
import uuid

import psutil
import pytest
import razorpay
import stripe

from local.sandbox.settings import RefusedError, from_env

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def stripe_of(sandbox):
    return stripe.StripeClient(
        "sk_test_sandbox",
        base_addresses={"api": f"{sandbox.base}/stripe"},
        http_client=stripe.RequestsClient(timeout=(3, 10)),
    ).v1


def session_of(sandbox):
    price = {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "Pottery <for> two"}}
    return stripe_of(sandbox).checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "https://juniro.test/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://juniro.test/back",
            "line_items": [{"price_data": price, "quantity": 1}],
            "expires_at": int(time.time()) + 1900,
        }
    )


def razorpay_of(sandbox):
    return razorpay.Client(auth=("rzp_test_sandbox", "secret_sandbox"), base_url=f"{sandbox.base}/razorpay")


def order_of(sandbox):
    data = {"amount": 150_000, "currency": "INR", "receipt": str(uuid.uuid4())}
    return razorpay_of(sandbox).order.create(data, timeout=10)["id"]


def events(entries):
    return [json.loads(body) for _, _, body in entries]


def deliveries(sandbox, about, until):
    """The deliveries about a checkout, once all of them satisfy `until`."""
    for _ in range(300):
        found = sandbox.get(f"/deliveries?about={about}")["deliveries"]
        if found and all(until(delivery) for delivery in found):
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def test_the_page_shows_what_is_paid_and_every_button(sandbox):
    session = session_of(sandbox)
    status, headers, page = sandbox.call("GET", f"/pay/{session.id}")

    assert (status, headers.get_content_type()) == (200, "text/html")
    assert "$25.00" in page
    assert "Pottery &lt;for&gt; two" in page
    assert "<script" not in page
    assert 'href="https://juniro.test/back"' in page
    for action in ("pay", "decline", "late", "twice", "reorder", "wrong_amount"):
        assert f'value="{action}"' in page


def test_a_browser_that_pays_goes_on_to_the_success_url(sandbox):
    session = session_of(sandbox)
    status, headers, _ = sandbox.call("POST", f"/pay/{session.id}", b"action=pay", FORM)

    assert (status, headers["Location"]) == (303, f"https://juniro.test/done?session={session.id}")


def test_a_browser_that_pays_an_order_sees_the_handlers_response(sandbox):
    order = order_of(sandbox)
    status, _, page = sandbox.call("POST", f"/pay/{order}", b"action=pay&method=card", FORM)

    assert status == 200
    for name in ("razorpay_payment_id", "razorpay_order_id", "razorpay_signature"):
        assert name in page
    assert "₹1,500.00" in page


def test_a_paid_checkout_cannot_be_paid_again(sandbox):
    for checkout in (session_of(sandbox).id, order_of(sandbox)):
        payment = sandbox.pay(checkout)[1]["paymentId"]

        assert sandbox.pay(checkout) == (409, {"status": "paid", "paymentId": payment, "events": []})
        status, _, page = sandbox.call("GET", f"/pay/{checkout}")
        assert (status, "Already paid" in page) == (409, True)


def test_an_order_can_be_paid_a_second_time_and_each_payment_given_back(sandbox):
    order = order_of(sandbox)
    assert sandbox.pay(order, "again")[0] == 409
    first = sandbox.pay(order)[1]["paymentId"]
    status, answer = sandbox.pay(order, "again")
    assert (status, answer["status"], answer["paymentId"] != first) == (200, "paid", True)
    for payment in (first, answer["paymentId"]):
        assert razorpay_of(sandbox).payment.refund(payment, {"amount": 150_000}, timeout=10)["amount"] == 150_000
    assert sandbox.pay(session_of(sandbox).id, "again")[0] == 400


def test_the_events_can_be_read_as_they_are_sent(sandbox):
    before = len(sandbox.get("/events")["events"])
    order = order_of(sandbox)
    sandbox.pay(order)
    sent = sandbox.get(f"/events?after={before}")["events"]
    assert [(event["processor"], event["type"], event["about"]) for event in sent] == [
        ("razorpay", "payment.authorized", order),
        ("razorpay", "payment.captured", order),
        ("razorpay", "order.paid", order),
    ]
    assert sorted(event["body"].encode() for event in sent) == sorted(
        body for _, _, body in sandbox.delivered(order, 3)
    )
    assert sandbox.call("GET", "/events?after=-1")[0] == 400


def test_of_many_who_pay_at_once_one_succeeds(sandbox):
    session = session_of(sandbox)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: sandbox.pay(session.id)[0], range(8)))

    assert sorted(answers) == [200] + [409] * 7
    sandbox.delivered(session.id, 1)


def test_an_expired_session_cannot_be_paid_but_late(sandbox):
    session = session_of(sandbox)
    assert sandbox.pay(session.id, "expire")[1]["status"] == "expired"

    assert sandbox.pay(session.id)[0] == 409
    assert sandbox.call("GET", f"/pay/{session.id}")[0] == 410
    status, answer = sandbox.pay(session.id, "late")
    assert (status, answer["status"]) == (200, "paid")
    types = [event["type"] for event in events(sandbox.delivered(session.id, 2))]
    assert types == ["checkout.session.expired", "checkout.session.completed"]


def test_a_late_payment_waits_for_its_delay(sandbox):
    order = order_of(sandbox)
    started = time.monotonic()
    status, answer = sandbox.pay(order, "late", delay=0.5)

    assert (status, answer) == (200, {"status": "scheduled", "paymentId": None, "events": []})
    assert razorpay_of(sandbox).order.fetch(order, timeout=10)["status"] == "created"
    sandbox.delivered(order, 3)
    assert time.monotonic() - started >= 0.5


def test_sending_twice_delivers_the_same_bytes_under_the_same_id(sandbox):
    session, order = session_of(sandbox).id, order_of(sandbox)
    for checkout, count in ((session, 2), (order, 6)):
        sandbox.pay(checkout, "twice")
        arrived = sandbox.delivered(checkout, count)

        assert len({body for _, _, body in arrived}) == count / 2
    ids = [headers["x-razorpay-event-id"] for _, headers, _ in arrived]
    assert sorted(ids) == sorted(2 * list(set(ids)))


def test_reorder_tells_a_decline_and_a_success_backwards(sandbox):
    session, order = session_of(sandbox).id, order_of(sandbox)
    for checkout in (session, order):
        assert sandbox.pay(checkout, "reorder")[1]["status"] == "paid"

    by_stripe = [event["type"] for event in events(sandbox.delivered(session, 2))]
    by_razorpay = [event["event"] for event in events(sandbox.delivered(order, 4))]
    assert by_stripe == ["checkout.session.completed", "payment_intent.payment_failed"]
    assert by_razorpay == ["order.paid", "payment.captured", "payment.authorized", "payment.failed"]


def test_a_wrong_amount_is_in_the_event_and_in_the_object(sandbox):
    session, order = session_of(sandbox).id, order_of(sandbox)
    sandbox.pay(session, "wrong_amount")
    paid = sandbox.pay(order, "wrong_amount", amount=100)[1]["paymentId"]

    (told,) = events(sandbox.delivered(session, 1))
    assert told["data"]["object"]["amount_total"] == 2600
    assert stripe_of(sandbox).checkout.sessions.retrieve(session).amount_total == 2600
    assert {event["payload"]["payment"]["entity"]["amount"] for event in events(sandbox.delivered(order, 3))} == {100}
    assert razorpay_of(sandbox).payment.fetch(paid, timeout=10)["amount"] == 100


def test_a_wrong_currency_can_be_asked_for(sandbox):
    session = session_of(sandbox).id
    sandbox.pay(session, "wrong_amount", currency="eur")

    (told,) = events(sandbox.delivered(session, 1))
    assert (told["data"]["object"]["amount_total"], told["data"]["object"]["currency"]) == (2500, "eur")


def test_a_paid_checkout_can_be_disputed(sandbox):
    session, order = session_of(sandbox).id, order_of(sandbox)
    assert sandbox.pay(session, "dispute")[0] == 409
    for checkout in (session, order):
        sandbox.pay(checkout)
        assert sandbox.pay(checkout, "dispute")[1]["status"] == "disputed"

    dispute = next(e for e in sandbox.get(f"/deliveries?about={session}")["deliveries"] if "dispute" in e["type"])
    assert dispute["type"] == "charge.dispute.created"
    assert "payment.dispute.created" in [event["event"] for event in events(sandbox.delivered(order, 4))]


def test_a_paid_checkout_can_be_refunded_outside_the_application(sandbox):
    session, order = session_of(sandbox).id, order_of(sandbox)
    for checkout in (session, order):
        sandbox.pay(checkout)
    assert sandbox.pay(session, "refund", amount=1000)[1]["status"] == "refunded"
    assert sandbox.pay(order, "refund")[1]["status"] == "refunded"

    intent = stripe_of(sandbox).checkout.sessions.retrieve(session).payment_intent
    assert [refund.amount for refund in stripe_of(sandbox).refunds.list({"payment_intent": intent}).data] == [1000]
    told = [event["event"] for event in events(sandbox.delivered(order, 5)) if event["event"].startswith("refund")]
    assert told == ["refund.created", "refund.processed"]
    assert sandbox.pay(order, "refund")[0] == 400


@pytest.mark.parametrize("fields", [{"action": "steal"}, {"action": "late", "delay": "nan"}, {"action": "expire"}])
def test_a_form_that_makes_no_sense_is_refused_and_changes_nothing(sandbox, fields):
    order = order_of(sandbox)

    assert sandbox.pay(order, **fields)[0] == 400
    assert sandbox.get(f"/deliveries?about={order}") == {"deliveries": []}


def test_an_unknown_checkout_is_404(sandbox):
    assert sandbox.call("GET", "/pay/cs_test_nothing")[0] == 404
    assert sandbox.pay("order_nothing")[0] == 404


def test_a_refused_delivery_is_tried_again_until_it_is_taken(sandbox):
    session = session_of(sandbox).id
    sandbox.receiver.refuse = 2
    sandbox.pay(session)

    sandbox.delivered(session, 1)
    (delivery,) = sandbox.get(f"/deliveries?about={session}")["deliveries"]
    assert (delivery["status"], delivery["tries"], delivery["lastStatus"]) == ("delivered", 3, 200)


def test_an_event_can_be_sent_again(sandbox):
    session = session_of(sandbox).id
    event = sandbox.pay(session)[1]["events"][0]["id"]
    sandbox.delivered(session, 1)

    assert sandbox.call("POST", f"/deliveries/{event}/resend")[0] == 202
    first, second = sandbox.delivered(session, 2)
    assert first[2] == second[2]
    assert sandbox.call("POST", "/deliveries/evt_nothing/resend")[0] == 404


def test_webhooks_that_are_off_are_held_and_lost_ones_are_only_listed(sandbox):
    held, lost = session_of(sandbox).id, session_of(sandbox).id
    sandbox.faults(webhooks="off")
    sandbox.pay(held)
    time.sleep(0.2)
    assert deliveries(sandbox, held, lambda delivery: True)[0]["tries"] == 0
    sandbox.faults(webhooks="on", lose=1.0)
    event = sandbox.pay(lost)[1]["events"][0]["id"]

    sandbox.delivered(held, 1)
    sandbox.delivered(lost, 0)
    assert sandbox.get(f"/deliveries?about={lost}")["deliveries"][0]["status"] == "lost"
    assert stripe_of(sandbox).events.retrieve(event).data.object.id == lost


def test_drops_are_retried_and_duplicates_arrive_twice(sandbox):
    order = order_of(sandbox)
    sandbox.faults(drop=1.0, duplicate=1.0, delay=0.02)
    sandbox.pay(order)
    deliveries(sandbox, order, lambda delivery: delivery["tries"] or delivery["type"] != "payment.authorized")
    sandbox.faults(drop=0)
    found = deliveries(sandbox, order, lambda delivery: delivery["status"] == "delivered")

    assert len(found) == 6
    assert max(delivery["tries"] for delivery in found) > 1
    sandbox.delivered(order, 6)


def test_a_seed_makes_chance_repeatable(sandbox):
    def outcomes():
        sandbox.faults(http500=0.5, seed="again")
        path, key = "/stripe/v1/events", {"Authorization": "Bearer sk_test_sandbox"}
        return [sandbox.call("GET", path, headers=key)[0] for _ in range(20)]

    first = outcomes()
    assert set(first) == {200, 500}
    assert outcomes() == first


def test_faults_are_shown_changed_one_by_one_and_reset(sandbox):
    before = sandbox.get("/faults")
    sandbox.faults(drop=0.25)

    assert sandbox.get("/faults") == before | {"drop": 0.25}
    for wrong in ({"drop": 2}, {"dropp": 0.1}, {"webhooks": "maybe"}, {"delay": -1}):
        assert sandbox.call("POST", "/faults", wrong)[0] == 400
    assert sandbox.call("DELETE", "/faults")[2] == before


def test_the_index_lists_what_is_known_with_links(sandbox):
    session, order = session_of(sandbox).id, order_of(sandbox)
    status, _, page = sandbox.call("GET", "/")

    assert status == 200
    assert f'href="/pay/{session}"' in page
    assert f'href="/pay/{order}"' in page
    assert sandbox.call("GET", "/health")[::2] == (200, {"status": "ok"})
    assert sandbox.call("GET", "/nothing")[0] == 404


def test_a_restart_keeps_everything_and_expires_what_is_overdue(new_sandbox, tmp_path):
    path = tmp_path / "sandbox.sqlite"
    sandbox = new_sandbox(SANDBOX_STATE=str(path))
    sandbox.start()
    auth = "/supabase/auth/v1"
    account = {"email": "zoe@example.com", "password": "secret-1"}
    sandbox.call("POST", f"{auth}/signup", account)
    kept, overdue, order = session_of(sandbox).id, session_of(sandbox).id, order_of(sandbox)
    payment = sandbox.pay(order)[1]["paymentId"]
    sandbox.faults(webhooks="off")
    sandbox.pay(kept)
    sandbox.stop()
    database = sqlite3.connect(path)
    database.execute(
        "UPDATE document SET body = json_set(body, '$.expires_at', 1) WHERE kind = 'session' AND id = ?", (overdue,)
    )
    database.commit()
    database.close()
    sandbox.start()

    assert sandbox.call("POST", f"{auth}/token?grant_type=password", account)[0] == 200
    assert razorpay_of(sandbox).payment.fetch(payment, timeout=10)["status"] == "captured"
    assert events(sandbox.delivered(overdue, 1))[0]["type"] == "checkout.session.expired"
    assert events(sandbox.delivered(kept, 1))[0]["type"] == "checkout.session.completed"
    assert stripe_of(sandbox).checkout.sessions.retrieve(kept).payment_status == "paid"


@pytest.mark.parametrize(
    ("env", "word"),
    [
        ({"JUNIRO_ENV": "production"}, "JUNIRO_ENV"),
        ({"STRIPE_SECRET_KEY": "sk_live_51"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_sandbox,whsec_live"}, "STRIPE_WEBHOOK_SECRET"),
        ({"RAZORPAY_KEY_ID": "rzp_live_1"}, "RAZORPAY_KEY_ID"),
        ({"RAZORPAY_KEY_SECRET": "live"}, "RAZORPAY_KEY_SECRET"),
        ({"SUPABASE_SERVICE_ROLE_KEY": "live"}, "SUPABASE_SERVICE_ROLE_KEY"),
        ({"SANDBOX_WEBHOOK_BASE": "http://juniro.com/v1"}, "SANDBOX_WEBHOOK_BASE"),
        ({"REGION": "eu"}, "REGION"),
        ({"SANDBOX_PORT": "x"}, "SANDBOX_PORT"),
    ],
)
def test_settings_for_anything_but_a_sandbox_are_refused_without_showing_a_key(env, word):
    with pytest.raises(RefusedError, match=word) as caught:
        from_env(env)
    assert "live" not in str(caught.value)


def test_without_any_settings_everything_has_its_default():
    settings = from_env({})

    assert (settings.region, settings.base_url) == ("us", "http://127.0.0.1:5101")
    assert settings.webhook_base == "http://127.0.0.1:5001/v1/payments/webhook"
    assert from_env({"PORT": "5002"}).webhook_base == "http://127.0.0.1:5002/v1/payments/webhook"
    assert from_env({"STRIPE_WEBHOOK_SECRET": "new_sandbox, old_sandbox"}).stripe_webhook_secret == "new_sandbox"


def test_a_refusal_is_one_line_and_exit_status_2(new_sandbox):
    code, output = new_sandbox(STRIPE_SECRET_KEY="sk_live_51").refused()

    assert code == 2
    assert output == "sandbox: STRIPE_SECRET_KEY does not end in _sandbox: the sandbox never starts with a real key\n"


def test_only_this_machine_can_reach_it(sandbox):
    port = int(sandbox.base.rpartition(":")[2])
    bound = {c.laddr.ip for c in psutil.Process(sandbox.process.pid).net_connections() if c.laddr.port == port}

    assert bound == {"127.0.0.1"}
