"""Errors of the API as RFC 9457 problem documents with a stable `code` and the request id."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core.errors import DomainError, NotAuthenticated, NotFound, problem_document
from apps.core.http import Request

CONTENT_TYPE = "application/problem+json"


class InvalidInput(DomainError):
    code = "invalid_input"
    status = 422
    detail = "Some fields are not valid: {fields}."


def problem(request: Request, error: DomainError) -> JsonResponse:
    """The problem document as a plain Django response, for middleware."""
    body = problem_document(error, getattr(request, "id", ""))
    return JsonResponse(body, status=error.status, content_type=CONTENT_TYPE, headers=dict(error.headers))


def problem_response(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: a refusal becomes a problem document and rolls back, unless it `keeps_changes`."""
    request = context["request"]
    error, errors = _as_domain_error(exception)
    if error is None:
        return None
    if not error.keeps_changes:
        set_rollback()
    body = problem_document(error, getattr(request, "id", ""), errors)
    return Response(body, status=error.status, content_type=CONTENT_TYPE, headers=dict(error.headers))


def _as_domain_error(exception: Exception) -> tuple[DomainError | None, list[dict[str, str]] | None]:
    if isinstance(exception, exceptions.ValidationError):
        errors = list(_flatten(exception.get_full_details()))
        return InvalidInput(fields=", ".join(dict.fromkeys(e["field"] for e in errors))), errors
    return _plain_domain_error(exception), None


def _plain_domain_error(exception: Exception) -> DomainError | None:
    match exception:
        case DomainError():
            return exception
        case Http404() | exceptions.NotFound():
            return NotFound()
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return NotAuthenticated()
        case PermissionDenied():
            return _from_framework(exception, 403)
        case exceptions.APIException():
            return _from_framework(exception, exception.status_code)
        case _:
            return None


class Refused(DomainError):
    """A refusal that the framework worded."""

    detail = "{reason}"


def _from_framework(exception: Exception, status: int) -> DomainError:
    error = Refused(reason=str(getattr(exception, "detail", exception)) or HTTPStatus(status).phrase)
    error.status = status  # type: ignore[misc]
    error.code = getattr(exception, "default_code", "refused")  # type: ignore[misc]
    if wait := getattr(exception, "wait", None):
        error.headers = {"Retry-After": str(int(wait))}  # type: ignore[misc]
    return error


def _flatten(details: Any, path: str = "") -> Any:
    """Turn DRF's nested error details into flat `{field, code, detail}` entries."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield {"field": path or "body", "code": str(details["code"]), "detail": str(details["message"])}
    elif isinstance(details, dict):
        for name, inner in details.items():
            step = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, f"{path}.{step}".strip("."))
    else:
        for inner in details:
            yield from _flatten(inner, path)
