"""Every setting of Juniro, read from the environment and checked at start (docs/settings.md has the table).

Local mode needs no setting at all. In production a missing or unsafe one stops the start with one clear line.
One file, however long: whoever asks what can be set looks in one place, as in that table.
"""

import os
import sys
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"


def refuse(reason: str) -> NoReturn:
    """Stops the start with one line that says what to mend."""
    sys.exit(f"Juniro cannot start: {reason}")


env = environ.Env()
JUNIRO_ENV = env.str("JUNIRO_ENV", "local")
if JUNIRO_ENV not in ("local", "test", "production"):
    refuse(f"JUNIRO_ENV must be local, test or production, not {JUNIRO_ENV!r}.")
PRODUCTION = JUNIRO_ENV == "production"
LOCAL = JUNIRO_ENV == "local"
if LOCAL:
    env.read_env(BASE_DIR / ".env")

REGION = env.str("REGION", "" if PRODUCTION else "us")
if REGION not in ("us", "in"):
    refuse(f"REGION must be us or in, not {REGION!r}.")
if LOCAL:
    # The addresses of the embedded servers, there while `make run` is up.
    env.read_env(BASE_DIR / ".local" / f"{REGION}.env")


def setting(name: str, local: str = "") -> str:
    """The variable `name`; outside production it may be missing, and then `local` stands in."""
    # Not by `env`, which takes a secret that begins with $ for the name of another variable.
    value = os.environ.get(name, "")
    if PRODUCTION and not value:
        refuse(f"{name} must be set in production.")
    return value or local


def secret(name: str, local: str) -> str:
    """Like `setting`, for what nobody else may know: production refuses the well-known local value, too."""
    value = setting(name, local)
    if PRODUCTION and (value == local or value.endswith("_sandbox")):
        refuse(f"{name} has its local value, which everybody knows.")
    return value


def secrets(name: str, local: str) -> list[str]:
    """Several values of one secret, comma-separated, so that it can be rotated without a gap."""
    values = [value for value in (part.strip() for part in secret(name, local).split(",")) if value]
    if PRODUCTION and (not values or any(value.endswith("_sandbox") for value in values)):
        refuse(f"{name} must hold only secrets of its own.")
    return values


def number(name: str, default: int, *, at_least: int = 0) -> int:
    try:
        value = env.int(name, default)
    except ValueError:
        refuse(f"{name} must be a whole number, not {env.str(name)!r}.")
    if value < at_least:
        refuse(f"{name} must be at least {at_least}, not {value}.")
    return value


def url(name: str, local: str = "", *, schemes: tuple[str, ...] = ("http", "https"), required: bool = True) -> str:
    value = (setting(name, local) if required else env.str(name, local)).rstrip("/")
    try:
        good = not value or (urlsplit(value).scheme in schemes and bool(urlsplit(value).netloc))
    except ValueError:
        good = False
    if not good:
        refuse(f"{name} must be an address that starts with {' or '.join(f'{s}://' for s in schemes)}.")
    return value


def uploads(address: str) -> dict:
    """The storage for uploads: a folder, or a bucket of this region. Saving under a name that is there replaces it."""
    parts = urlsplit(address)
    if parts.scheme == "file" and parts.path.startswith("/"):
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": parts.path, "allow_overwrite": True},
        }
    if parts.scheme != "gs" or not parts.netloc:
        refuse("STORAGE_URL must be file:///a/folder or gs://a-bucket.")
    return {
        "BACKEND": "storages.backends.gcloud.GoogleCloudStorage",
        "OPTIONS": {"bucket_name": parts.netloc, "location": parts.path.strip("/")},
    }


def mail_transport(address: str) -> tuple[dict, dict]:
    """Django's and anymail's settings for a mail server, or for an API: `anymail+postmark://?server_token=…`."""
    scheme, _, rest = address.partition("://")
    provider = scheme.removeprefix("anymail+").replace("-", "_")
    if provider == scheme:
        try:
            return env.email_url_config(address), {}
        except (ImproperlyConfigured, ValueError):
            refuse("EMAIL_URL must be an address such as smtp+tls://user:password@host:587.")
    if not provider.isidentifier() or not find_spec(f"anymail.backends.{provider}"):
        refuse(f"EMAIL_URL names {provider!r}, which anymail does not know.")
    options = {f"{provider}_{key}".upper(): value for key, value in parse_qsl(rest.partition("?")[2])}
    return {"EMAIL_BACKEND": f"anymail.backends.{provider}.EmailBackend"}, options


def pairs(name: str, default: str) -> dict[str, str]:
    """`key=value,key=value` as a dict."""
    parts = [part.strip() for part in env.str(name, default).split(",") if part.strip()]
    if any("=" not in part for part in parts):
        refuse(f"{name} must look like key=value,key=value.")
    return {key.strip(): value.strip() for key, value in (part.split("=", 1) for part in parts)}


# --- Process -------------------------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", False)
if PRODUCTION and DEBUG:
    refuse("DEBUG must be off in production.")
PORT = number("PORT", 5001, at_least=1)
SECRET_KEY = secret("SECRET_KEY", "local-secret-key-for-one-machine-only")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["*"])
if PRODUCTION and (not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS):
    refuse("ALLOWED_HOSTS must name this deployment's hosts.")
TRUSTED_PROXIES = number("TRUSTED_PROXIES", 0)

ROOT_URLCONF = "juniro.urls"
WSGI_APPLICATION = "juniro.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = "juniro.formats"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "core",  # first, since its templates go before those of the admin
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "regions",
    "geography",
    "users",
    "notifications",
    "providers",
    "marketplace",
    "bookings",
    "payments",
    "messaging",
    "privacy",
]

MIDDLEWARE = [
    "core.middleware.RequestMiddleware",
    "core.middleware.PageRules",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "core.middleware.AdminSession",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.middleware.AdminAuthentication",
    "core.middleware.AdminSecondFactor",
    "core.middleware.AdminMessages",
    "users.signin.StaffSession",
    "core.acting.Acting",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else None
STORAGES = {
    "default": uploads(env.str("STORAGE_URL", f"file://{BASE_DIR / '.local' / 'media'}")),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION

CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "x-provider-account",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = ["ETag", "Idempotency-Replayed", "Retry-After", "X-Request-ID"]

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_HSTS_SECONDS = 31536000 if PRODUCTION else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
# What a page may load, by the beginning of its address. Answers of the API load nothing at all.
CONTENT_SECURITY_POLICIES = {
    # Alpine, in unfold, makes functions of texts; widths and heights stand in style attributes.
    "/admin/": "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "/v1/docs": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- Databases -----------------------------------------------------------------------------------------------------


def database(name: str) -> dict:
    """A PostgreSQL connection for the URL in `name`, tuned as docs/performance.md explains."""
    address = env.str(name, "")
    if not address:
        where = "must be set in production" if PRODUCTION else "is not set: `make run` starts the embedded servers"
        refuse(f"{name} {where}.")
    if not address.startswith(("postgres://", "postgresql://")):
        refuse(f"{name} must be an address that starts with postgres:// or postgresql://.")
    try:
        config = env.db_url(name, engine="django.db.backends.postgresql")
    except ValueError:
        refuse(f"{name} must look like postgres://user:password@host:port/database.")
    config["CONN_MAX_AGE"] = 60
    config["CONN_HEALTH_CHECKS"] = True
    config.setdefault("OPTIONS", {}).update(
        {
            "connect_timeout": 3,
            "server_side_binding": True,
            "prepare_threshold": 3,
            # A query that hangs becomes a clear 503 instead of a worker that hangs with it.
            # To compile a statement (jit) takes longer than any of ours runs.
            "options": "-c statement_timeout=5s -c lock_timeout=3s -c idle_in_transaction_session_timeout=30s"
            " -c jit=off",
        }
    )
    return config


DATABASES = {"default": database("DATABASE_URL"), "global": database("GLOBAL_DATABASE_URL")}
# It may be far away, and down for hours: no connection is kept to hang on, and none is waited for longer than need be.
DATABASES["global"]["CONN_MAX_AGE"] = 0
DATABASES["global"]["OPTIONS"] |= {"connect_timeout": 2, "tcp_user_timeout": 2000}
if env.str("DATABASE_REPLICA_URL", ""):
    DATABASES["replica"] = database("DATABASE_REPLICA_URL") | {"TEST": {"MIRROR": "default"}}
CATALOGUE_DATABASE = "replica" if "replica" in DATABASES else "default"
DATABASE_ROUTERS = ["regions.router.RegionsRouter"]

# --- Redis ---------------------------------------------------------------------------------------------------------


def redis_cache(name: str) -> dict:
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": url(name, "redis://127.0.0.1:6379/0", schemes=("redis", "rediss", "unix")),
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
    }


CACHES = {"default": redis_cache("REDIS_URL"), "global": redis_cache("GLOBAL_REDIS_URL")}

CELERY_BROKER_URL = url("CELERY_BROKER_URL", "redis://127.0.0.1:6379/1", schemes=("redis", "rediss"))
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 5}
CELERY_TIMEZONE = "UTC"

# --- Regions -------------------------------------------------------------------------------------------------------

LOCAL_PORTS = {"us": 5001, "in": 5002}
REGION_API_URLS = pairs(
    "REGION_API_URLS",
    "us=https://api.us.juniro.com,in=https://api.in.juniro.com"
    if PRODUCTION
    # As `make run` and `make run REGION=in PORT=5002` have it, and this region at its own port.
    else ",".join(f"{name}=http://127.0.0.1:{PORT if name == REGION else port}" for name, port in LOCAL_PORTS.items()),
)
if set(REGION_API_URLS) != {"us", "in"}:
    refuse("REGION_API_URLS must name both regions: us=https://…,in=https://….")

# --- Sign-in -------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
LOGIN_REDIRECT_URL = "/admin/"
AUTHENTICATION_BACKENDS = [
    "users.authentication.SupabaseBackend",
    "users.signin.Lockout",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# E-mail is unique among those who sign in by password (staff), not among all users. And who is locked out is told so
# by our own sign-in page, not by axes' middleware.
SILENCED_SYSTEM_CHECKS = ["auth.W004", "axes.W002"]

# Staff in the admin.
STAFF_GROUPS = "juniro.groups"
AUDITED = "juniro.audited"
AUDIT_RETENTION_DAYS = number("AUDIT_RETENTION_DAYS", 730, at_least=30)
SECOND_FACTOR = not LOCAL
OTP_TOTP_ISSUER = f"Juniro {REGION.upper()}"
ADMIN_IDLE_MINUTES = number("ADMIN_IDLE_MINUTES", 30, at_least=1)
ADMIN_SESSION_HOURS = number("ADMIN_SESSION_HOURS", 12, at_least=1)
SESSION_COOKIE_AGE = ADMIN_SESSION_HOURS * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
ADMIN_LOCKOUT_TRIES = number("ADMIN_LOCKOUT_TRIES", 5, at_least=1)
ADMIN_LOCKOUT_MINUTES = number("ADMIN_LOCKOUT_MINUTES", 15, at_least=1)
AXES_HANDLER = "axes.handlers.cache.AxesCacheHandler"
MIGRATION_MODULES = {"axes": None}  # it counts in Redis, and needs no tables
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
AXES_FAILURE_LIMIT = ADMIN_LOCKOUT_TRIES
AXES_COOLOFF_TIME = timedelta(minutes=ADMIN_LOCKOUT_MINUTES)
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_USERNAME_FORM_FIELD = "username"
AXES_RESET_ON_SUCCESS = True
# Who guesses on must not keep somebody else out for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "core.throttling.client_address"
AXES_CLIENT_STR_CALLABLE = "users.signin.client_name"

SANDBOX_URL = f"http://127.0.0.1:{number('SANDBOX_PORT', PORT + 100, at_least=1)}"
SUPABASE_URL = url("SUPABASE_URL", f"{SANDBOX_URL}/supabase")
SUPABASE_JWT_ISSUER = env.str("SUPABASE_JWT_ISSUER", f"{SUPABASE_URL}/auth/v1")
SUPABASE_JWKS_URL = url("SUPABASE_JWKS_URL", f"{SUPABASE_URL}/auth/v1/.well-known/jwks.json", required=False)
SUPABASE_JWT_AUDIENCE = env.str("SUPABASE_JWT_AUDIENCE", "authenticated")
SUPABASE_JWT_SECRET = env.str("SUPABASE_JWT_SECRET", "")
SUPABASE_PEER_ISSUERS = pairs("SUPABASE_PEER_ISSUERS", "")
SUPABASE_SERVICE_ROLE_KEY = secret("SUPABASE_SERVICE_ROLE_KEY", "service_role_sandbox")

# --- Payments ------------------------------------------------------------------------------------------------------

CURRENCY = {"us": "USD", "in": "INR"}[REGION]
PAYMENT_PROCESSORS = env.list("PAYMENT_PROCESSORS", default=[{"us": "stripe", "in": "razorpay"}[REGION]])
if not PAYMENT_PROCESSORS or set(PAYMENT_PROCESSORS) - {"us": {"stripe"}, "in": {"stripe", "razorpay"}}[REGION]:
    refuse(f"PAYMENT_PROCESSORS may not be {','.join(PAYMENT_PROCESSORS)!r} in the region {REGION}.")

if "stripe" in PAYMENT_PROCESSORS:
    STRIPE_SECRET_KEY = secret("STRIPE_SECRET_KEY", "sk_test_sandbox")
    STRIPE_WEBHOOK_SECRETS = secrets("STRIPE_WEBHOOK_SECRET", "whsec_sandbox")
    STRIPE_API_BASE = url("STRIPE_API_BASE", "" if PRODUCTION else f"{SANDBOX_URL}/stripe", required=False)
if "razorpay" in PAYMENT_PROCESSORS:
    RAZORPAY_KEY_ID = secret("RAZORPAY_KEY_ID", "rzp_test_sandbox")
    RAZORPAY_KEY_SECRET = secret("RAZORPAY_KEY_SECRET", "secret_sandbox")
    RAZORPAY_WEBHOOK_SECRETS = secrets("RAZORPAY_WEBHOOK_SECRET", "whsec_razorpay_sandbox")
    RAZORPAY_API_BASE = url("RAZORPAY_API_BASE", "" if PRODUCTION else f"{SANDBOX_URL}/razorpay", required=False)

CHECKOUT_SUCCESS_URL = url("CHECKOUT_SUCCESS_URL", f"{SANDBOX_URL}/returned?outcome=success")
CHECKOUT_CANCEL_URL = url("CHECKOUT_CANCEL_URL", f"{SANDBOX_URL}/returned?outcome=cancel")
# The web app, which the links in mails lead to; the checkout returns to one of its pages.
APP_URL = url("APP_URL", "://".join(urlsplit(CHECKOUT_SUCCESS_URL)[:2]), required=False)
BOOKING_HOLD_MINUTES = number("BOOKING_HOLD_MINUTES", 35, at_least=1)
IDEMPOTENCY_TTL_HOURS = number("IDEMPOTENCY_TTL_HOURS", 24, at_least=1)
# Processors send an event again for three days.
WEBHOOK_PAYLOAD_RETENTION_DAYS = number("WEBHOOK_PAYLOAD_RETENTION_DAYS", 90, at_least=7)

# --- Mail and uploads ----------------------------------------------------------------------------------------------

EMAIL_CONFIG, ANYMAIL = mail_transport(setting("EMAIL_URL", f"filemail:///{BASE_DIR / '.local' / 'mail'}"))
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10
# What the provider's webhooks must bring along.
ANYMAIL["WEBHOOK_SECRET"] = list(filter(None, map(str.strip, os.environ.get("EMAIL_WEBHOOK_SECRET", "").split(","))))
if not all(":" in each for each in ANYMAIL["WEBHOOK_SECRET"]):
    refuse("EMAIL_WEBHOOK_SECRET must look like user:password.")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Juniro <hello@juniro.localhost>")
# Where the letters of each kind of notification are written.
NOTIFICATION_CONTENTS = [
    "notifications.emails",
    "providers.emails",
    "bookings.emails",
    "bookings.session_emails",
    "bookings.review_emails",
    "payments.emails",
    "messaging.emails",
]
NOTIFICATION_RETENTION_DAYS = number("NOTIFICATION_RETENTION_DAYS", 180, at_least=1)
# All of what is kept for how long: privacy/retention.py.
BOUNCE_RETENTION_DAYS = number("BOUNCE_RETENTION_DAYS", 365, at_least=1)
ROSTER_VIEW_RETENTION_DAYS = number("ROSTER_VIEW_RETENTION_DAYS", 365, at_least=30)
EXPORT_REQUEST_RETENTION_DAYS = number("EXPORT_REQUEST_RETENTION_DAYS", 365, at_least=30)

# --- REST framework ------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["users.authentication.SupabaseAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated", "regions.permissions.HomeRegion"],
    "DEFAULT_RENDERER_CLASSES": ["core.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.envelope.CamelCaseParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "core.envelope.AlwaysJSON",
    "DEFAULT_PAGINATION_CLASS": "core.pagination.PagePagination",
    "DEFAULT_THROTTLE_CLASSES": ["core.throttling.RateLimit"],
    "DEFAULT_SCHEMA_CLASS": "core.schema.EnvelopeSchema",
    "DEFAULT_VERSIONING_CLASS": None,
    "EXCEPTION_HANDLER": "core.exceptions.handle",
    "UNAUTHENTICATED_USER": None,
    "NON_FIELD_ERRORS_KEY": "nonFieldErrors",
    "COERCE_DECIMAL_TO_STRING": False,
    "DATETIME_FORMAT": "iso-8601",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
# Requests per minute for one user, or one address where nobody is signed in.
RATE_LIMITS = {
    "read": number("RATE_LIMIT_READ", 600, at_least=1),
    "write": number("RATE_LIMIT_WRITE", 120, at_least=1),
    "message": number("RATE_LIMIT_MESSAGE", 30, at_least=1),
    "export": number("RATE_LIMIT_EXPORT", 10, at_least=1),
}
MAX_BODY_BYTES = 1024 * 1024
ERASURE_GRACE_DAYS = number("ERASURE_GRACE_DAYS", 0)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

SPECTACULAR_SETTINGS = {
    "TITLE": "Juniro API",
    "DESCRIPTION": "Find, book and pay for children's activities.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": False, "displayRequestDuration": True},
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "SCHEMA_PATH_PREFIX": "/v1",
    "ENUM_NAME_OVERRIDES": {
        "RegionCode": "core.models.Region",
        "UserRole": "users.models.UserRole",
        "CurrencyCode": "core.models.Currency",
        "ProviderType": "providers.models.ProviderType",
        "ProviderStatus": "providers.models.ProviderStatus",
        "InvitedRole": "providers.models.InvitedRole",
        "ActivityStatus": "marketplace.models.ActivityStatus",
        "ImageStatus": "marketplace.models.ImageStatus",
        "OfferingType": "marketplace.models.OfferingType",
        "OfferingStatus": "marketplace.models.OfferingStatus",
        "AttendanceStatus": "bookings.models.Attendance",
        "StaffRole": "providers.models.StaffRole",
        "AttachmentStatus": "messaging.models.AttachmentStatus",
        "ReportStatus": "bookings.models.ReportStatus",
        "ReviewStatus": "bookings.models.ReviewStatus",
        "ConsentKind": "users.models.ConsentKind",
        "NotificationKind": "notifications.models.NotificationKind",
        "SessionStatus": "marketplace.models.SessionStatus",
        "BookingStatus": "bookings.models.BookingStatus",
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "core.schema.finish"],
}

# The colour that the admin of each region has throughout, as a hue: nobody should act on the wrong one.
REGION_HUE = {"us": 260, "in": 50}[REGION]
SHADES = {50: 98, 100: 95, 200: 90, 300: 82, 400: 72, 500: 63, 600: 52, 700: 46, 800: 40, 900: 34, 950: 26}

UNFOLD = {
    "SITE_TITLE": f"Juniro {REGION.upper()} · {JUNIRO_ENV}",
    "SITE_HEADER": f"Juniro {REGION.upper()}",
    "SITE_SUBHEADER": f"{JUNIRO_ENV}, times in UTC",
    "SITE_SYMBOL": "child_care",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}core/favicon-{REGION}.svg"}],
    "STYLES": [f"{STATIC_URL}core/admin.css"],
    "COLORS": {
        "primary": {
            str(shade): f"oklch({light}% {0.2 * (1 - abs(light - 55) / 50):.3f} {REGION_HUE})"
            for shade, light in SHADES.items()
        }
    },
    "SITE_URL": "/v1/docs",
    "SHOW_VIEW_ON_SITE": False,
    "LOGIN": {"form": "users.signin.StaffSignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "Second factor", "link": "/admin/second-factor/"},
            {"title": "Change password", "link": "/admin/password_change/"},
        ]
    },
    "ENVIRONMENT": "core.admin.environment",
    "ENVIRONMENT_TITLE_PREFIX": f"{REGION.upper()}:",
    "DASHBOARD_CALLBACK": "juniro.home.dashboard",
    "SIDEBAR": {
        "navigation": "core.admin.navigation",
        # Read by core.admin: which model stands where, with its icon and a function that counts what waits there.
        "groups": {
            "People": {
                "users.User": {"icon": "person"},
                "users.Parent": {"icon": "family_restroom"},
                "users.Child": {"icon": "child_care"},
                "users.Consent": {"icon": "fact_check"},
                "messaging.Conversation": {"icon": "forum"},
                "messaging.Message": {"icon": "chat"},
                "messaging.Attachment": {"icon": "attach_file"},
                "messaging.MessageReport": {"icon": "flag"},
                "notifications.Notification": {"icon": "notifications", "badge": "notifications.admin.failed"},
                "notifications.NotificationPreference": {"icon": "notifications_off"},
                "notifications.Bounce": {"icon": "unsubscribe"},
                "privacy.ExportRequest": {"icon": "folder_zip"},
                "privacy.ErasureRequest": {"icon": "delete_forever"},
                "users.AccountTombstone": {"icon": "person_off"},
            },
            "Providers": {
                "providers.ProviderAccount": {"icon": "storefront", "badge": "providers.admin.waiting"},
                "providers.ProviderUser": {"icon": "badge"},
                "providers.Invitation": {"icon": "mail"},
                "providers.Location": {"icon": "location_on"},
            },
            "Catalogue": {
                "marketplace.Category": {"icon": "category"},
                "marketplace.Activity": {"icon": "sports_soccer"},
                "marketplace.ActivityImage": {"icon": "image"},
                "marketplace.Offering": {"icon": "sell"},
                "marketplace.Session": {"icon": "event"},
                "marketplace.ParentInterest": {"icon": "favorite"},
                "regions.RatingAggregate": {"icon": "star_half"},
            },
            "Bookings": {
                "bookings.Booking": {"icon": "confirmation_number"},
                "bookings.Seat": {"icon": "event_seat"},
                "bookings.ReviewReport": {"icon": "flag"},
                "bookings.Review": {"icon": "reviews"},
                "bookings.RosterView": {"icon": "visibility"},
                "bookings.CalendarFeed": {"icon": "calendar_month"},
            },
            "Money": {
                "payments.Payment": {"icon": "payments", "badge": "payments.admin.to_review"},
                "payments.Refund": {"icon": "currency_exchange"},
                "payments.RefundRequest": {"icon": "approval", "badge": "payments.admin.to_approve"},
                "payments.WebhookEvent": {"icon": "webhook"},
                "payments.Reconciliation": {"icon": "balance"},
            },
            "Geography": {
                "geography.Country": {"icon": "public"},
                "geography.City": {"icon": "location_city"},
                "geography.Locality": {"icon": "holiday_village"},
            },
            "Platform": {
                "regions.FeatureFlag": {"icon": "toggle_on"},
                "regions.AppConfig": {"icon": "tune"},
                "regions.SlugReservation": {"icon": "link"},
                "core.IdempotencyKey": {"icon": "key"},
                "auth.Group": {"icon": "group"},
                "admin.LogEntry": {"icon": "history"},
                "core.AuditEntry": {"icon": "policy"},
                "regions.SharedAuditEntry": {"icon": "travel_explore"},
            },
        },
    },
}

# --- Logs and errors -----------------------------------------------------------------------------------------------

LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    refuse(f"LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL, not {LOG_LEVEL!r}.")
SENTRY_DSN = env.str("SENTRY_DSN", "")
LOG_URL = url("LOG_URL", schemes=("syslog",), required=False)
LOGGING_CONFIG = "core.logging.configure"
LOGGING = {
    "level": LOG_LEVEL,
    "json": PRODUCTION,
    "syslog": LOG_URL and (urlsplit(LOG_URL).hostname, urlsplit(LOG_URL).port or 514),
    "sentry_dsn": SENTRY_DSN,
    "region": REGION,
    "release": VERSION,
}

# --- Residency -----------------------------------------------------------------------------------------------------

REGION_DATA_HOSTS = [each.strip().lower() for each in env.str("REGION_DATA_HOSTS", "").split(",") if each.strip()]
if PRODUCTION and REGION == "in" and not REGION_DATA_HOSTS:
    refuse("REGION_DATA_HOSTS must name the hosts in India that data may go to.")


def host_of(address: str) -> str:
    """Where data goes that is sent to `address`: a host, a bucket, or the mail provider that anymail speaks to."""
    parts = urlsplit(address)
    if parts.scheme.startswith("anymail+"):
        return parts.scheme.removeprefix("anymail+")
    return parts.hostname or ""


def is_ours(host: str) -> bool:
    """Whether `host` is in this region: on the list, below a `.domain` of it, or on this very machine."""
    if host in ("", "localhost", "127.0.0.1", "::1"):
        return True
    return any(host == each or (each.startswith(".") and host.endswith(each)) for each in REGION_DATA_HOSTS)


# All that people's data goes to, as far as a host's name can tell. What both regions share has nothing of anybody.
for name in (
    "DATABASE_URL", "DATABASE_REPLICA_URL", "REDIS_URL", "CELERY_BROKER_URL", "SUPABASE_URL", "EMAIL_URL",
    "STORAGE_URL", "LOG_URL", "SENTRY_DSN",
):  # fmt: skip
    found = host_of(os.environ.get(name, ""))
    if REGION_DATA_HOSTS and not is_ours(found):
        refuse(f"{name} leads to {found}, which is not among the REGION_DATA_HOSTS of the region {REGION}.")
