"""What the OpenAPI document says of every operation: who may call, how a POST is repeated, how refusals look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from apps.core.api.permissions import PersonPermission

API_TOKEN = {"type": "http", "scheme": "bearer", "description": "An API token, `my_...`, of one organization."}
ACCESS_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A person's access token from `/api/v1/auth/token/`.",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[\\x20-\\x7e]+$"},
    "description": "Names this request, so that sending it again within a day gives the same answer and no second "
    "effect. With another body it is refused (422), while the first one is still running too (409).",
}
ORGANIZATION = {
    "name": "Modelyard-Organization",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The slug of the organization that a person's call is for, who belongs to several.",
}
PROBLEM = {
    "type": "object",
    "description": "A refusal as RFC 9457 tells it. `code` is stable; `errors` names the fields.",
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("field", "code", "detail")},
            },
        },
    },
}
REFUSAL = {
    "description": "A refusal.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class ActorAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = "apps.core.api.authentication.ActorAuthentication"
    name = ["apiToken", "accessToken"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        is_personal = PersonPermission in auto_schema.view.permission_classes
        return [{name: []} for name in (["accessToken"] if is_personal else self.name)]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [API_TOKEN, ACCESS_TOKEN]


def tell_organization(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """An operation inside an organization takes the header that names it."""
    for _, operation in _operations(result):
        if {"apiToken": []} in operation.get("security", []):
            operation.setdefault("parameters", []).append(ORGANIZATION)
    return result


def tell_idempotency(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Every POST takes the header, because the middleware honours it for all of them."""
    for method, operation in _operations(result):
        if method == "post":
            operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    return result


def tell_refusals(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Every operation refuses with a problem document."""
    components = result["components"]
    components["schemas"]["Problem"] = PROBLEM
    components["responses"] = {**components.get("responses", {}), "Refusal": REFUSAL}
    for _, operation in _operations(result):
        for statuses in ("4XX", "5XX"):
            operation["responses"].setdefault(statuses, {"$ref": "#/components/responses/Refusal"})
    return result


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        yield from methods.items()
