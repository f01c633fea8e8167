"""`python -m local.sandbox`: serves the stand-ins on loopback until it is interrupted.

    /                       all that it knows, with links             /health   200
    /supabase/auth/v1/…     Supabase Auth: signup, token, user, .well-known/jwks.json, admin/users
    /stripe/v1/…            Stripe: checkout/sessions, payment_intents, charges, refunds, events
    /razorpay/v1/…          Razorpay: orders, payments, refunds
    /pay/{id}               the checkout page of a session or order, see `pay`
    /refunds/{id}           POST action=succeed|fail: what the bank says to a refund
    /events                 the events as they are sent; ?after={so many} leaves out the first ones
    /deliveries             webhooks sent and under way; ?about={checkout id}, ?event={event id}
    /deliveries/{event id}/resend   POST
    /faults                 GET, POST (changes the named ones), DELETE (resets); see `faults`

The environment that it reads is in `settings`.
"""

import os
import signal
import sys

from werkzeug.serving import WSGIRequestHandler, make_server

from .app import Sandbox
from .settings import HOST, RefusedError, from_env


class Handler(WSGIRequestHandler):
    """Says nothing of each request: `make run` has the API's own log, and `/` shows what happened here."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main() -> int:
    try:
        settings = from_env(os.environ)
    except RefusedError as refusal:
        print(f"sandbox: {refusal}", file=sys.stderr)
        return 2
    sandbox = Sandbox(settings)
    server = make_server(HOST, settings.port, sandbox, threaded=True, request_handler=Handler)
    sandbox.start()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(0))
    print(f"sandbox: {settings.base_url}/ (region {settings.region}, webhooks to {settings.webhook_base})", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    # Deliveries under way are in the state: leaving does not wait for the threads that were sending them.
    try:
        code = main()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
