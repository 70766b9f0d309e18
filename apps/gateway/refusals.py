"""What the gateway refuses before it sends anything. Imports no Django."""

from __future__ import annotations

from math import ceil

from apps.core.errors import DomainError
from apps.gateway.dialects.failures import Failure
from apps.gateway.enums import ErrorClass


class ModelUnknown(DomainError):
    code = "model_not_found"
    status = 404
    detail = "There is no model `{name}` here, or this key may not use it. GET /v1/models lists those that it may."


class BodyUnreadable(DomainError):
    code = "malformed_json"
    status = 400
    detail = "The body is not a JSON object: {reason}."


class ModelMissing(DomainError):
    code = "model_required"
    status = 400
    detail = "`model` has to name a route of the gateway. GET /v1/models lists them."


class RequestTooLarge(DomainError):
    code = "request_too_large"
    status = 413
    detail = "The body has {size} bytes; the route `{name}` takes {limit_bytes}."


class MetadataUnreadable(DomainError):
    code = "metadata_invalid"
    status = 400
    detail = (
        "The header `x-metadata` has to be a JSON object of at most {most} texts of at most {longest} characters, such"
        ' as {{"feature": "search", "prompt": "v3"}}.'
    )


class AnswerNotKept(DomainError):
    code = "response_not_found"
    status = 404
    detail = "`{name}` cannot be fetched again: answers pass through the gateway and are not kept by it."


class NoTarget(DomainError):
    code = "no_target"
    status = 503
    detail = "The route `{name}` has no target that takes this call. Look at its targets and their conditions."
    headers = {"Retry-After": "5"}


STATUSES = {
    ErrorClass.RATE_LIMITED: 429,
    ErrorClass.OVERLOADED: 503,
    ErrorClass.SERVER_ERROR: 502,
    ErrorClass.TIMEOUT: 504,
    ErrorClass.UNREACHABLE: 502,
    ErrorClass.BROKEN: 502,
    ErrorClass.KEY_REFUSED: 502,  # the gateway's key, not the caller's
    ErrorClass.NOT_FOUND: 502,
    ErrorClass.CONTEXT_LENGTH: 400,
    ErrorClass.CONTENT_FILTER: 400,
    ErrorClass.INVALID_REQUEST: 400,
}


class UpstreamFailed(DomainError):
    """No target answered; told in the words of the last provider, with its key masked."""

    detail = "{said}"

    def __init__(self, failure: Failure) -> None:
        self.status = STATUSES[failure.error_class]  # type: ignore[misc]
        kept = failure.error_class in {ErrorClass.CONTEXT_LENGTH, ErrorClass.CONTENT_FILTER}
        self.code = str(failure.error_class) if kept else f"upstream_{failure.error_class}"  # type: ignore[misc]
        if failure.retry_after_s is not None and self.status in {429, 503}:
            self.headers = {"Retry-After": str(ceil(failure.retry_after_s))}  # type: ignore[misc]
        super().__init__(said=failure.message)
