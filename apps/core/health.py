"""Whether this process answers, and whether what it depends on does.

Load balancers and Prometheus ask over plain HTTP from inside, so `ProbeMiddleware` answers before anything looks at
hosts, sessions or tenants. The answers name no version, address or error text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

import redis
from django.conf import settings
from django.db import Error, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse

from apps.core import heartbeats, metrics, own_endpoints, storage
from apps.core.api.problems import problem
from apps.core.errors import DomainError
from apps.core.parallel import Parallel, Remembered

GetResponse = Callable[[HttpRequest], HttpResponse]
Check = Callable[[], None]

DEADLINE_S = 2.0
REMEMBERED_S = 1.0


class Failing(Exception):
    """What a check raises when the thing is there but not as it should be."""


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@cache
def check_migrations() -> None:
    """Raise `Failing` until the database has every migration of this code; asked no more afterwards."""
    loader = MigrationLoader(connection)
    if any(node not in loader.applied_migrations for node in loader.graph.leaf_nodes()):
        raise Failing


def check_redis() -> None:
    _redis().ping()


def check_alive(process: str) -> None:
    if not heartbeats.is_alive(_redis(), process):
        raise Failing


def check_edge() -> None:
    if own_endpoints.status_of(f"{settings.EDGE_PROBE_URL}/v2/health/ready", DEADLINE_S) != 200:
        raise Failing


HARD: Mapping[str, Check] = {"database": check_database, "migrations": check_migrations}
SOFT: Mapping[str, Check] = {
    "redis": check_redis,
    "storage": storage.require_reachable,
    "edge": check_edge,
    "runner": partial(check_alive, "runner"),
    "worker": partial(check_alive, "worker"),
}
FAILURES = (Failing, Error, redis.RedisError, OSError, DomainError)


class Readiness:
    """Runs all checks at once and waits no longer than the deadline; an answer counts for a second."""

    def __init__(self, hard: Mapping[str, Check], soft: Mapping[str, Check]) -> None:
        self._hard = hard
        checks = {name: partial(_outcome, check) for name, check in {**hard, **soft}.items()}
        self._ask = Parallel(checks, "readiness")
        self.results = Remembered(self._results, REMEMBERED_S)

    def status(self, results: Mapping[str, str]) -> str:
        if any(results[name] != "ok" for name in self._hard):
            return "not_ready"
        return "ready" if set(results.values()) == {"ok"} else "degraded"

    def _results(self) -> dict[str, str]:
        """`ok`, `failing` or `timeout` for each check."""
        return {name: outcome or "timeout" for name, outcome in self._ask(DEADLINE_S).items()}


def _outcome(check: Check) -> str:
    try:
        check()
    except FAILURES:
        return "failing"
    finally:
        connections.close_all()
    return "ok"


readiness = Readiness(HARD, SOFT)


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Whether requests should come here. Only what nothing works without makes it 503."""
    results = readiness.results()
    status = readiness.status(results)
    return JsonResponse({"status": status, "checks": results}, status=503 if status == "not_ready" else 200)


def scrape(request: HttpRequest) -> HttpResponse:
    try:
        metrics.refuse_unless_scraper(request.headers.get("Authorization", ""))
    except DomainError as error:
        return problem(request, error)  # type: ignore[arg-type]
    return HttpResponse(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


PATHS: Mapping[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": healthz,
    "/readyz": readyz,
    "/metrics": scrape,
}


class ProbeMiddleware:
    """Answers PATHS before anything that needs a host, a session or a database."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = PATHS.get(request.path_info)
        if view is None:
            return self.get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        return view(request)


@cache
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
