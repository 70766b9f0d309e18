"""What the gateway refuses before it sends anything. Imports no Django."""

from __future__ import annotations

from apps.core.errors import DomainError


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
