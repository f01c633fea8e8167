"""Logs through structlog: one line an event, with the request's id, as JSON in production.

Never PII, tokens or secrets.
"""

import logging
import logging.config
import sys
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import sentry_sdk
import structlog
from django.db import Error as DatabaseError

from core.errors import Error

# What the interpreter says with these names code, not values.
OF_CODE = (AttributeError, ImportError, NameError, TypeError)


def describe(error: BaseException) -> str:
    """An exception in one line: its kind, and its words only where they can repeat nobody's.

    The texts of databases repeat rows, those of mail servers addresses, and a ValueError what somebody typed.
    """
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    cause = error.__cause__ if isinstance(error, DatabaseError) else error
    if isinstance(cause, psycopg.Error):
        named = [cause.sqlstate, cause.diag.table_name, cause.diag.column_name, cause.diag.constraint_name]
        return " ".join([name, *(each for each in named if each)])
    words = error.message if isinstance(error, Error) else str(error) if isinstance(error, OF_CODE) else ""
    if isinstance(error, OSError):
        words = error.strerror or ""
    return f"{name}: {words.partition(chr(10))[0][:200]}".removesuffix(": ")


def frames(error: BaseException) -> Iterator[str]:
    """The lines of code that led to `error` and to what caused it, causes first; no local variables."""
    if error.__cause__ is not None:
        yield from frames(error.__cause__)
        yield "which caused\n"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from frames(error.__context__)
        yield "and meanwhile\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{describe(error)}\n"


def add_exception(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Processor: `exc_info` as a traceback in which no value of a row stands (PII)."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
    if given is True:
        error = sys.exc_info()[1]
    if error is not None:
        event["exception"] = "".join(frames(error)).rstrip()
        if event.get("logger") == "celery.app.trace":
            # Celery writes exception and traceback into its message, too.
            event["event"] = str(event["event"]).partition(": ")[0]
    return event


def without_values(report: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """Sentry's `before_send`: exceptions and messages in the words of our own log, and no address."""
    error = (hint.get("exc_info") or (None, None))[1]
    seen = []
    while error is not None:
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    told = {type(each).__name__: describe(each) for each in seen}
    for each in report.get("exception", {}).get("values", []):
        each["value"] = told.get(each.get("type"), "")
    if "log_record" in hint:
        words, values = said(hint["log_record"])
        report["logentry"], report["extra"] = {"message": words}, values
    # An address may carry a token (calendars, invitations) or words that somebody typed; the route is in `transaction`.
    for part in ("url", "query_string"):
        report.get("request", {}).pop(part, None)
    return report


def without_words(crumb: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """Sentry's `before_breadcrumb`: of what was logged the event, of what was called the host."""
    if "log_record" in hint:
        crumb["message"], crumb["data"] = said(hint["log_record"])
    elif crumb.get("type") == "http":
        data = crumb.get("data") or {}
        host = urlsplit(data.get("url") or "").netloc
        kept = {name: data[name] for name in ("http.method", "status_code") if name in data}
        crumb["data"] = kept | {"url": host}
    return crumb


def said(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """A log record's event and its values; of other people's only what they always say, without the arguments."""
    if isinstance(record.msg, dict):
        values = {name: value for name, value in record.msg.items() if name not in ("event", "exc_info", "exception")}
        return str(record.msg.get("event", "")), values
    # Celery formats some of its messages itself, and writes an exception's words after a colon.
    return (str(record.msg).partition(": ")[0] if record.name.startswith("celery") else str(record.msg)), {}


def configure(options: dict[str, Any]) -> None:
    """Sets up logging for `{"level", "json", "syslog", "sentry_dsn", "region", "release"}` (LOGGING_CONFIG)."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if options["json"] else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handlers: dict[str, Any] = {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}}
    if options["syslog"]:
        # By UDP: a log server that is down holds up nobody.
        handlers["syslog"] = {
            "class": "logging.handlers.SysLogHandler",
            "address": options["syslog"],
            "formatter": "line",
        }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        add_exception,
                        renderer,
                    ],
                }
            },
            "handlers": handlers,
            "root": {"handlers": list(handlers), "level": options["level"]},
            "loggers": {
                # Both repeat request paths and would log them beside our own line.
                "django.request": {"level": "CRITICAL"},
                "django.server": {"level": "WARNING"},
                # The processors' SDKs log request bodies.
                "stripe": {"level": "ERROR"},
                "urllib3": {"level": "ERROR"},
            },
        }
    )
    if options["sentry_dsn"]:
        report_errors(options["sentry_dsn"], region=options["region"], release=options["release"])


def report_errors(dsn: str, *, region: str, release: str, **more: Any) -> None:
    """Reports errors to Sentry, with nothing that is somebody's."""
    sentry_sdk.init(
        dsn,
        send_default_pii=False,
        include_local_variables=False,
        before_send=without_values,  # type: ignore[arg-type]
        before_breadcrumb=without_words,
        max_request_body_size="never",
        environment=region,
        release=release,
        **more,
    )
