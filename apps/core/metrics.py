"""What Prometheus reads. Imports no Django: both planes measure with these, also when they share a process.

Labels come from our own tables (routes, queues, states), never from what a caller sends.
"""

from __future__ import annotations

import hmac
import os

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

from apps.core.errors import NotAuthenticated, NotFound

CONTENT_TYPE = CONTENT_TYPE_LATEST
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "OTHER"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter(
    "modelyard_http_requests", "Requests answered, by route and status class.", ["plane", "method", "route", "status"]
)
DURATIONS = Histogram(
    "modelyard_http_request_duration_seconds",
    "Time from a request's arrival to its answer.",
    ["plane", "method", "route"],
    buckets=BUCKETS,
)
IN_FLIGHT = Gauge("modelyard_http_requests_in_flight", "Requests being answered.", ["plane"])
QUEUED_EVENTS = Gauge("modelyard_edge_queued_events", "Events that neither Redis nor the spool holds yet.")
TOKEN_REFUSALS = Counter("modelyard_token_refusals", "Calls without a valid token or session.", ["plane"])


class RequestMeter:
    """Counts and times the requests of one plane. Looking labels up costs more than counting, so that is remembered."""

    def __init__(self, plane: str) -> None:
        self._plane = plane
        self._seen: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._refusals = TOKEN_REFUSALS.labels(plane)
        self.in_flight = IN_FLIGHT.labels(plane)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; `route` is a template of ours or empty when none fits."""
        try:
            requests, durations = self._seen[method, route, status]
        except KeyError:
            requests, durations = self._first(method, route, status)
        requests.inc()
        durations.observe(seconds)
        if status == 401:
            self._refusals.inc()

    def _first(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        known = method if method in METHODS else OTHER_METHOD
        labels = (self._plane, known, route or UNMATCHED)
        found = REQUESTS.labels(*labels, f"{status // 100}xx"), DURATIONS.labels(*labels)
        if known == method:
            self._seen[method, route, status] = found
        return found


def refuse_unless_scraper(authorization: str) -> None:
    """Let a scrape pass with `Bearer METRICS_TOKEN`. Raises NotFound while that is not set, else ScraperUnknown."""
    token = os.environ.get("METRICS_TOKEN", "")
    if not token:
        raise NotFound
    if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
        raise ScraperUnknown


class ScraperUnknown(NotAuthenticated):
    detail = "Send the installation's METRICS_TOKEN as `Authorization: Bearer ...`."


def exposition() -> bytes:
    """Every metric of this process in Prometheus' text format."""
    return generate_latest(REGISTRY)
