"""Counts and times of requests for Prometheus. Labels are methods, routes and statuses: nothing of a person."""

import os
from pathlib import Path

# Several processes serve one port; with this folder any of them can answer for all.
SHARED_FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
if SHARED_FOLDER:
    Path(SHARED_FOLDER).mkdir(parents=True, exist_ok=True)

from django.http import HttpRequest, HttpResponse  # noqa: E402
from prometheus_client import (  # noqa: E402  (the client looks for its folder when it is imported)
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Histogram,
    generate_latest,
    multiprocess,
)

REQUESTS = Histogram(
    "juniro_request_seconds",
    "Requests by route and status, and how long they took",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)


def observe(method: str | None, route: str | None, status: int, seconds: float) -> None:
    # Unknown methods and addresses are one label each, or a scanner would make millions.
    known = method if method in ("GET", "HEAD", "OPTIONS", "POST", "PATCH", "DELETE") else "other"
    REQUESTS.labels(known, route or "unknown", status).observe(seconds)


def metrics(request: HttpRequest) -> HttpResponse:
    """`GET /metrics`: for the scraper within the network; the proxy does not pass it on."""
    registry = REGISTRY
    if SHARED_FOLDER:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
