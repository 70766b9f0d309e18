"""One refusal, several faces: problem document, toast, error page."""

from __future__ import annotations

import sys

from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from psycopg.errors import ForeignKeyViolation

from apps.core import http
from apps.core.api.problems import problem
from apps.core.errors import ConcurrentChange, DatabaseUnavailable, DomainError, NotFound, Unexpected
from apps.core.http import Request


def refusal(request: Request, error: DomainError) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return problem(request, error)
    if getattr(request, "htmx", False):
        return http.toast_error(request, error)
    return http.error_page(request, error)


class RequestUnreadable(DomainError):
    code = "request_unreadable"
    status = 400
    detail = "The request could not be read. Check its address, its headers and its form."


class FormTooLarge(DomainError):
    code = "body_too_large"
    status = 413
    detail = "The body is larger than what is taken here. Send less at a time."


class FormOutdated(DomainError):
    code = "form_outdated"
    status = 403
    detail = "This page is out of date, or the form came from another site. Nothing was done: reload and try again."


def csrf_failure(request: Request, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW."""
    return refusal(request, FormOutdated())


def bad_request(request: Request, exception: Exception | None = None) -> HttpResponse:
    """Django's `handler400`: what the framework refuses to read."""
    return refusal(request, FormTooLarge() if isinstance(exception, RequestDataTooBig) else RequestUnreadable())


def not_found(request: Request, exception: Http404 | None = None) -> HttpResponse:
    """Django's `handler404`."""
    return refusal(request, NotFound())


def server_error(request: Request) -> HttpResponse:
    """Django's `handler500`: what trying again helps against is told as such."""
    return refusal(request, _told(sys.exception()))


def _told(crash: BaseException | None) -> DomainError:
    match crash:
        case OperationalError() | InterfaceError():
            return DatabaseUnavailable()
        case IntegrityError(__cause__=ForeignKeyViolation()):
            return ConcurrentChange()
        case _:
            return Unexpected()
