"""What happens to every request: an id, and one place where refusals become answers."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone

from apps.core import request_ids
from apps.core.addresses import client_address
from apps.core.errors import DomainError
from apps.core.http import Request
from apps.core.refusals import refusal

GetResponse = Callable[[Request], HttpResponse]


class ClientAddressMiddleware:
    """Sets REMOTE_ADDR to the client behind our proxies (TRUSTED_PROXIES), so that nobody else reads their headers."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        peer, claims = request.META.get("REMOTE_ADDR") or "", request.META.get("HTTP_X_FORWARDED_FOR", "")
        request.META["REMOTE_ADDR"] = client_address(peer, claims, settings.TRUSTED_PROXIES)
        return self.get_response(request)


class RequestIdMiddleware:
    """Gives the request an id, binds it to the log lines, returns it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        request.id = request_ids.accept_or_make(request.headers.get(request_ids.HEADER))
        request.actor = request.organization = None  # type: ignore[assignment]
        with structlog.contextvars.bound_contextvars(request_id=request.id):
            response = self.get_response(request)
        response[request_ids.HEADER] = request.id
        return response


class TimeZoneMiddleware:
    """Pages show and read times in the person's zone, or else in the organization's; the API speaks UTC.

    Stands behind the tenant's middleware.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        if request.path_info.startswith("/api/"):
            return self.get_response(request)
        with timezone.override(_time_zone(request)):
            return self.get_response(request)


def _time_zone(request: Request) -> str:
    # Who sends no session is not looked up, so that what is the same for everybody can be cached.
    person = request.user if settings.SESSION_COOKIE_NAME in request.COOKIES else None
    fallback = request.organization.time_zone if request.organization else settings.TIME_ZONE
    return getattr(person, "time_zone", "") or fallback


class AddressUnreadable(DomainError):
    code = "address_unreadable"
    status = 400
    detail = "The address holds a NUL character, which nothing here is called by. Check the address."


class ErrorMiddleware:
    """Tells a `DomainError` that a page raised in the language of the caller."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        # Forms and the API refuse it by themselves; PostgreSQL, which cannot hold it, would raise for a page's filter.
        if "%00" in request.META.get("QUERY_STRING", "") and not request.path_info.startswith("/api/"):
            return refusal(request, AddressUnreadable())
        return self.get_response(request)

    def process_exception(self, request: Request, error: Exception) -> HttpResponse | None:
        return refusal(request, error) if isinstance(error, DomainError) else None
