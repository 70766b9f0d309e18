"""How our refusals are told to callers of each face, so that their own clients understand them. Imports no Django."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.core.edge import Answer, json_answer
from apps.core.errors import DomainError, problem_document

OWNER = "modelyard"
# What clients of either maker know; other statuses are told as the general one.
OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
ANTHROPIC_TYPES = {
    **OPENAI_TYPES,
    413: "request_too_large",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def refused_openai(error: DomainError, request_id: str) -> Answer:
    """A refusal as OpenAI's clients read it, with what a problem document tells beside it."""
    kind = OPENAI_TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    told = {"message": error.message, "type": kind, "param": error.field, "code": error.code}
    return _answer(error, {**problem_document(error, request_id), "error": told})


def refused_anthropic(error: DomainError, request_id: str) -> Answer:
    """A refusal as Anthropic's clients read it."""
    kind = ANTHROPIC_TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    told = {"type": kind, "message": error.message}
    return _answer(error, {"type": "error", "error": told, "code": error.code, "request_id": request_id})


def _answer(error: DomainError, content: Any) -> Answer:
    answer = json_answer(content, error.status)
    answer.headers.extend((name.lower().encode(), value.encode()) for name, value in error.headers.items())
    return answer


def listed(headers: Mapping[bytes, bytes], names: list[str]) -> dict[str, Any]:
    """The list of models, as the maker of the caller's client writes it."""
    if not _is_anthropic(headers):
        return {"object": "list", "data": [described(headers, name) for name in names]}
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return {"data": [described(headers, name) for name in names], "has_more": False, **ends}


def described(headers: Mapping[bytes, bytes], name: str) -> dict[str, Any]:
    """One model. A route has no day on which it was made public, so that it is told as the epoch."""
    if _is_anthropic(headers):
        return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}


def _is_anthropic(headers: Mapping[bytes, bytes]) -> bool:
    return b"anthropic-version" in headers
