"""The start: refused in one clear line where a setting is wrong, and silent where all is well."""

import json
import os
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LOCAL = {
    "JUNIRO_ENV": "test",
    "DATABASE_URL": "postgres://u:p@127.0.0.1:1/a",
    "GLOBAL_DATABASE_URL": "postgres://u:p@127.0.0.1:1/b",
}
PRODUCTION = {
    "JUNIRO_ENV": "production",
    "REGION": "us",
    "SECRET_KEY": string.ascii_letters + string.digits,
    "ALLOWED_HOSTS": "api.us.juniro.com",
    "DATABASE_URL": "postgres://juniro:db-secret@db.internal:5432/juniro",
    "GLOBAL_DATABASE_URL": "postgres://juniro:db-secret@global.internal:5432/juniro",
    "REDIS_URL": "rediss://redis.internal:6379/0",
    "GLOBAL_REDIS_URL": "rediss://global.internal:6379/0",
    "CELERY_BROKER_URL": "rediss://redis.internal:6379/1",
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_SERVICE_ROLE_KEY": "service-role-of-our-own",
    "STRIPE_SECRET_KEY": "sk_live_ours",
    "STRIPE_WEBHOOK_SECRET": "whsec_ours",
    "CHECKOUT_SUCCESS_URL": "https://juniro.com/paid",
    "CHECKOUT_CANCEL_URL": "https://juniro.com/cancelled",
    "EMAIL_URL": "smtp://mail.internal:25",
}
INDIA = {
    **{name: value for name, value in PRODUCTION.items() if not name.startswith("STRIPE")},
    "REGION": "in",
    "REGION_DATA_HOSTS": ".internal,project.supabase.co",
    "RAZORPAY_KEY_ID": "rzp_live_ours",
    "RAZORPAY_KEY_SECRET": "razorpay-secret-of-our-own",
    "RAZORPAY_WEBHOOK_SECRET": "webhook-secret-of-our-own",
}
BAD = [
    # What is set on top of a good environment (None takes away), and what the line must name.
    (LOCAL, {"REGION": "eu"}, "REGION must be us or in, not 'eu'"),
    (LOCAL, {"REGION": ""}, "REGION"),
    (LOCAL, {"REGION": "US"}, "REGION"),
    (LOCAL, {"JUNIRO_ENV": "staging"}, "JUNIRO_ENV"),
    (LOCAL, {"JUNIRO_ENV": ""}, "JUNIRO_ENV"),
    (LOCAL, {"DATABASE_URL": None}, "DATABASE_URL"),
    (LOCAL, {"GLOBAL_DATABASE_URL": None}, "GLOBAL_DATABASE_URL"),
    (LOCAL, {"DATABASE_URL": "sqlite:///db"}, "DATABASE_URL"),
    (LOCAL, {"DATABASE_URL": "mysql://u:p@127.0.0.1/a"}, "DATABASE_URL"),
    (LOCAL, {"DATABASE_REPLICA_URL": "http://replica"}, "DATABASE_REPLICA_URL"),
    (LOCAL, {"REDIS_URL": "127.0.0.1:6379"}, "REDIS_URL"),
    (LOCAL, {"PORT": "http"}, "PORT"),
    (LOCAL, {"PORT": "0"}, "PORT"),
    (LOCAL, {"TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES"),
    (LOCAL, {"TRUSTED_PROXIES": "two"}, "TRUSTED_PROXIES"),
    (LOCAL, {"BOOKING_HOLD_MINUTES": "0"}, "BOOKING_HOLD_MINUTES"),
    (LOCAL, {"IDEMPOTENCY_TTL_HOURS": "1.5"}, "IDEMPOTENCY_TTL_HOURS"),
    (LOCAL, {"REGION_API_URLS": "us=http://a"}, "REGION_API_URLS"),
    (LOCAL, {"REGION_API_URLS": "http://a"}, "REGION_API_URLS"),
    (LOCAL, {"SUPABASE_URL": "project.supabase.co"}, "SUPABASE_URL"),
    (LOCAL, {"SUPABASE_PEER_ISSUERS": "https://in"}, "SUPABASE_PEER_ISSUERS"),
    (LOCAL, {"PAYMENT_PROCESSORS": "paypal"}, "PAYMENT_PROCESSORS"),
    (LOCAL, {"PAYMENT_PROCESSORS": "razorpay"}, "PAYMENT_PROCESSORS"),
    (LOCAL, {"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
    (LOCAL, {"EMAIL_URL": "pigeon://mail"}, "EMAIL_URL"),
    (LOCAL, {"EMAIL_URL": "anymail+pigeon://?token=a"}, "EMAIL_URL"),
    (LOCAL, {"EMAIL_URL": "anymail+://?token=a"}, "EMAIL_URL"),
    (LOCAL, {"EMAIL_WEBHOOK_SECRET": "secret"}, "EMAIL_WEBHOOK_SECRET"),
    (LOCAL, {"NOTIFICATION_RETENTION_DAYS": "0"}, "NOTIFICATION_RETENTION_DAYS"),
    (LOCAL, {"DATABASE_URL": "postgres://u:p@[::1/a"}, "DATABASE_URL"),
    (LOCAL, {"DATABASE_URL": "postgres://u:p@127.0.0.1:port/a"}, "DATABASE_URL"),
    (LOCAL, {"REDIS_URL": "redis://[::1/0"}, "REDIS_URL"),
    (LOCAL, {"STORAGE_URL": "s3://bucket"}, "STORAGE_URL"),
    (LOCAL, {"STORAGE_URL": "gs://"}, "STORAGE_URL"),
    (PRODUCTION, {"REGION": None}, "REGION"),
    *[
        (PRODUCTION, {name: missing}, name)
        for name in PRODUCTION
        if name not in ("JUNIRO_ENV", "REGION")
        for missing in (None, "")
    ],
    (PRODUCTION, {"DEBUG": "true"}, "DEBUG"),
    (PRODUCTION, {"SECRET_KEY": "local-secret-key-for-one-machine-only"}, "SECRET_KEY"),
    (PRODUCTION, {"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
    (PRODUCTION, {"STRIPE_SECRET_KEY": "sk_test_sandbox"}, "STRIPE_SECRET_KEY"),
    (PRODUCTION, {"STRIPE_SECRET_KEY": "sk_live_sandbox"}, "STRIPE_SECRET_KEY"),
    (PRODUCTION, {"STRIPE_WEBHOOK_SECRET": "whsec_sandbox"}, "STRIPE_WEBHOOK_SECRET"),
    (PRODUCTION, {"STRIPE_WEBHOOK_SECRET": "whsec_ours, whsec_sandbox, whsec_other"}, "STRIPE_WEBHOOK_SECRET"),
    (PRODUCTION, {"STRIPE_WEBHOOK_SECRET": " , "}, "STRIPE_WEBHOOK_SECRET"),
    (PRODUCTION, {"SUPABASE_SERVICE_ROLE_KEY": "service_role_sandbox"}, "SUPABASE_SERVICE_ROLE_KEY"),
    (PRODUCTION, {"PAYMENT_PROCESSORS": "stripe,razorpay"}, "PAYMENT_PROCESSORS"),
    (INDIA, {"RAZORPAY_KEY_ID": "rzp_test_sandbox"}, "RAZORPAY_KEY_ID"),
    (INDIA, {"REGION_DATA_HOSTS": None}, "REGION_DATA_HOSTS must name the hosts in India"),
    *[
        (INDIA, {name: address}, f"{name} leads to {host}, which is not among the REGION_DATA_HOSTS of the region in")
        for name, address, host in (
            ("SENTRY_DSN", "https://key@o1.ingest.us.sentry.io/2", "o1.ingest.us.sentry.io"),
            ("LOG_URL", "syslog://logs.us.example:514", "logs.us.example"),
            ("DATABASE_URL", "postgres://u:p@DB.us.example:5432/a", "db.us.example"),
            ("DATABASE_REPLICA_URL", "postgres://u:p@db.us.example:5432/a", "db.us.example"),
            ("REDIS_URL", "rediss://:p@redis.us.example/0", "redis.us.example"),
            ("CELERY_BROKER_URL", "rediss://redis.us.example/1", "redis.us.example"),
            ("SUPABASE_URL", "https://us-project.supabase.co", "us-project.supabase.co"),
            ("EMAIL_URL", "smtp+tls://u:p@mail.us.example:587", "mail.us.example"),
            ("EMAIL_URL", "anymail+postmark://?server_token=a", "postmark"),
            ("STORAGE_URL", "gs://us-bucket", "us-bucket"),
            # A name that only ends alike is another one.
            ("REDIS_URL", "rediss://evilinternal/0", "evilinternal"),
        )
    ],
    (PRODUCTION, {"REGION_DATA_HOSTS": "elsewhere.example"}, "DATABASE_URL leads to db.internal"),
    (LOCAL, {"LOG_URL": "http://logs"}, "LOG_URL"),
    (INDIA, {"RAZORPAY_KEY_SECRET": None}, "RAZORPAY_KEY_SECRET"),
    (INDIA, {"RAZORPAY_WEBHOOK_SECRET": ""}, "RAZORPAY_WEBHOOK_SECRET"),
    (INDIA, {"PAYMENT_PROCESSORS": "razorpay,stripe"}, "STRIPE_SECRET_KEY"),
]
GOOD = [
    (LOCAL, {}),
    (LOCAL, {"STORAGE_URL": "file:///var/uploads"}),
    (PRODUCTION, {"EMAIL_URL": "anymail+postmark://?server_token=a%2Bb", "EMAIL_WEBHOOK_SECRET": "us:er, us:old"}),
    (LOCAL, {"STORAGE_URL": "gs://bucket/of-this-region"}),
    (PRODUCTION, {}),
    (INDIA, {}),
    (INDIA, {"GLOBAL_DATABASE_URL": "postgres://u:p@shared.us.example/b"}),
    (
        INDIA,
        {
            "REGION_DATA_HOSTS": ".internal, project.supabase.co,o1.ingest.in.sentry.io,in-bucket,postmark",
            "SENTRY_DSN": "https://key@o1.ingest.in.sentry.io/2",
            "LOG_URL": "syslog://logs.internal",
            "STORAGE_URL": "gs://in-bucket/uploads",
            "EMAIL_URL": "anymail+postmark://?server_token=a",
        },
    ),
    (INDIA, {"PAYMENT_PROCESSORS": "razorpay,stripe", "STRIPE_SECRET_KEY": "sk_live_x", "STRIPE_WEBHOOK_SECRET": "w"}),
    (PRODUCTION, {"SECRET_KEY": "$" + "k" * 50, "STRIPE_WEBHOOK_SECRET": "$whsec"}),
    (PRODUCTION, {"STRIPE_WEBHOOK_SECRET": "whsec_new, whsec_old", "DATABASE_REPLICA_URL": "postgres://u:p@r/d"}),
]
# One process that forks for each environment it reads: starting Python for every one of them would take a minute.
FORKS = """
import json, os, sys, traceback
import juniro  # Celery and all that, but not the settings
for line in sys.stdin:
    reader, writer = os.pipe()
    if not os.fork():
        os.dup2(writer, 2)
        os.environ.clear()
        os.environ.update(json.loads(line))
        code = 0
        try:
            import juniro.settings
        except SystemExit as refusal:
            print(refusal.code, file=sys.stderr)
            code = 1
        except BaseException:
            traceback.print_exc()
            code = 2
        sys.stderr.flush()
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as said:
        stderr = said.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.wait()[1]), stderr]), flush=True)
"""


def environment(base: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in (base | changes).items() if value is not None}


def start(env: dict[str, str], *command: str) -> subprocess.CompletedProcess:
    command = command or ("-c", "import juniro.settings")
    env = {"PATH": os.environ["PATH"], **env}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def starts():
    """How each of the environments above starts: exit code and what stderr says."""
    lines = "\n".join(json.dumps(environment(*case[:2])) for case in [*BAD, *GOOD])
    result = subprocess.run(
        [sys.executable, "-c", FORKS], cwd=ROOT, input=lines, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(BAD)), ids=[f"{case[2]}:{case[1]}"[:60] for case in BAD])
def test_a_bad_environment_stops_the_start_with_one_clear_line(starts, number):
    code, stderr = starts[number]
    assert code == 1, stderr
    (line,) = stderr.splitlines()
    assert line.startswith("Juniro cannot start: ")
    assert BAD[number][2] in line
    assert "db-secret" not in line and "ours" not in line


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_a_good_environment_starts_in_silence(starts, number):
    assert starts[len(BAD) + number] == [0, ""]


def test_a_refusal_is_all_that_the_process_says():
    result = start(environment(LOCAL, {"REGION": "eu"}))
    line = "Juniro cannot start: REGION must be us or in, not 'eu'.\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", line)


def test_djangos_own_deployment_check_is_content_with_production():
    env = environment(PRODUCTION, {})
    result = start(env, "manage.py", "check", "--deploy", "--fail-level", "ERROR")
    assert result.returncode == 0
    warnings = set(re.findall(r"security\.W\d+", result.stderr))
    # The load balancer redirects to HTTPS, and juniro.com's other subdomains are not ours to decide about.
    assert warnings <= {"security.W005", "security.W008", "security.W021"}


def test_a_mail_providers_api_is_one_address():
    address = "anymail+postmark://?server_token=a%2Bb&api_url=https://api.example.com/"
    env = environment(PRODUCTION, {"EMAIL_URL": address, "EMAIL_WEBHOOK_SECRET": "us:new, us:old"})
    result = start(env, "-c", "import juniro.settings as s; print(s.EMAIL_BACKEND, s.ANYMAIL)")
    assert result.stdout.strip() == (
        "anymail.backends.postmark.EmailBackend {'POSTMARK_SERVER_TOKEN': 'a+b', "
        "'POSTMARK_API_URL': 'https://api.example.com/', 'WEBHOOK_SECRET': ['us:new', 'us:old']}"
    )


def test_local_mode_needs_only_the_databases():
    env = {name: value for name, value in LOCAL.items() if name != "JUNIRO_ENV"} | {"JUNIRO_ENV": "local"}
    code = "from juniro.settings import *; print(REGION, CURRENCY, PAYMENT_PROCESSORS, BOOKING_HOLD_MINUTES, DEBUG)"
    result = start(env, "-c", code)
    assert (result.returncode, result.stdout) == (0, "us USD ['stripe'] 35 False\n")
