"""One line and one measurement for each request of the control plane."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpResponse
from django.urls import Resolver404, ResolverMatch, resolve

from apps.core import access_log
from apps.core.health import PATHS as PROBES
from apps.core.http import Request
from apps.core.metrics import RequestMeter

GetResponse = Callable[[Request], HttpResponse]

STATIC_ROUTE = "/static/"

log = structlog.stdlib.get_logger(access_log.LOGGER)
meter = RequestMeter("web")


class AccessMiddleware:
    """Tells of each request its route, status and duration, and who it was; measures it for Prometheus.

    Probes and static files are told at DEBUG, so that they do not bury the rest.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        started = time.perf_counter()
        with meter.in_flight.track_inprogress():
            response = self.get_response(request)
        seconds = time.perf_counter() - started
        route, path = _address(request)
        meter.observe(request.method or "", route, response.status_code, seconds)
        log.log(_level(route), "request", **_line(request, response, route, path, seconds))
        return response


def _address(request: Request) -> tuple[str, str]:
    path = request.path_info
    if path in PROBES:
        return path, path
    if path.startswith(settings.STATIC_URL):
        return STATIC_ROUTE, STATIC_ROUTE
    match = request.resolver_match or _match(path)
    return access_log.route_of(match), access_log.shown_path(path, match)


def _match(path: str) -> ResolverMatch | None:
    """What would have answered a request that was refused before anything did."""
    try:
        return resolve(path)
    except Resolver404:
        return None


def _level(route: str) -> int:
    return logging.DEBUG if route in PROBES or route == STATIC_ROUTE else logging.INFO


def _line(request: Request, response: HttpResponse, route: str, path: str, seconds: float) -> dict[str, Any]:
    organization, actor = request.organization, request.actor
    return {
        "plane": "web",
        "method": request.method,
        "route": route,
        "path": path,
        "status": response.status_code,
        "duration_ms": round(seconds * 1000, 3),
        "request_id": request.id,
        "organization": str(organization.pk) if organization else None,
        "actor": str(actor.id) if actor else None,
    }
