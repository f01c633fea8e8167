"""A sandbox in a process of its own on a free port, and a receiver for its webhooks. Needs no Django, no database."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Receiver:
    """Keeps the webhooks that arrive; `refuse` answers the next ones with 500."""

    def __init__(self):
        self.received = []
        self.refuse = 0
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver.lock:
                    refused = receiver.refuse > 0
                    receiver.refuse -= refused
                    if not refused:
                        receiver.received.append((self.path, headers, body))
                self.send_response(500 if refused else 200)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class SandboxProcess:
    def __init__(self, **env):
        self.receiver = Receiver()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.env = {"PATH": os.environ["PATH"], "SANDBOX_PORT": str(port), "SANDBOX_WEBHOOK_BASE": self.receiver.url}
        self.env |= env
        self.process = None

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-m", "local.sandbox"], cwd=ROOT, env=self.env)
        for _ in range(200):
            try:
                return self.get("/health")
            except OSError:
                assert self.process.poll() is None, "the sandbox did not start"
                time.sleep(0.05)
        raise AssertionError("the sandbox did not answer within 10 seconds")

    def refused(self):
        """Exit status and standard error of a start that is expected to fail."""
        command = [sys.executable, "-m", "local.sandbox"]
        run = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=20, check=False)
        return run.returncode, run.stderr

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def call(self, method, path, data=None, headers=None):
        """Status, headers and body (parsed, if it is JSON)."""
        body = None
        headers = dict(headers or {})
        if data is not None:
            body = data if isinstance(data, bytes) else json.dumps(data).encode()
        request = urllib.request.Request(self.base + path, body, headers, method=method)
        try:
            answer = urllib.request.build_opener(NoRedirect).open(request, timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode()
            parsed = json.loads(text) if answer.headers.get_content_type() == "application/json" else text
            return answer.status, answer.headers, parsed

    def get(self, path, **headers):
        return self.call("GET", path, headers=headers)[2]

    def pay(self, checkout_id, action="pay", **fields):
        """Drives the checkout page as a script: status and JSON answer."""
        form = urllib.parse.urlencode({"action": action, **fields}).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        status, _, answer = self.call("POST", f"/pay/{checkout_id}", form, headers)
        return status, answer

    def faults(self, **values):
        status, _, answer = self.call("POST", "/faults", values)
        assert status == 200, answer

    def delivered(self, about, count):
        """Waits until so many webhooks about this checkout have been delivered; gives (path, headers, body) of each."""
        for _ in range(200):
            deliveries = self.get(f"/deliveries?about={about}")["deliveries"]
            if [delivery["status"] for delivery in deliveries].count("delivered") >= count:
                break
            time.sleep(0.02)
        # A quiet moment: what should not arrive has had its chance.
        time.sleep(0.05)
        ids = {delivery["eventId"] for delivery in deliveries}
        found = [entry for entry in list(self.receiver.received) if event_id(entry) in ids]
        assert len(found) == count, deliveries
        return found


def event_id(entry):
    _, headers, body = entry
    return headers.get("x-razorpay-event-id") or json.loads(body)["id"]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None


@pytest.fixture(scope="session")
def running_sandbox():
    sandbox = SandboxProcess()
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(running_sandbox):
    """The one sandbox of the run, with no faults."""
    yield running_sandbox
    running_sandbox.call("DELETE", "/faults")


@pytest.fixture
def new_sandbox():
    """Makes a sandbox of the test's own, with this environment; it is stopped afterwards."""
    made = []

    def make(**env):
        made.append(SandboxProcess(**env))
        return made[-1]

    yield make
    for sandbox in made:
        if sandbox.process and sandbox.process.poll() is None:
            sandbox.stop()
