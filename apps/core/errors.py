"""What can be refused, and how a refusal is told. Imports no Django: the data plane raises these too."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal the caller can act on.

    Subclasses name the refusal and say what to do; keyword arguments fill the text and travel as `params`. `page` is
    the template that tells it to somebody who opened a page.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    detail: ClassVar[str] = "The request was refused."
    headers: ClassVar[dict[str, str]] = {}
    members: ClassVar[dict[str, Any]] = {}  # what its problem document tells besides
    page: ClassVar[str] = "core/error.html"
    keeps_changes: ClassVar[bool] = False  # whether what was written before the refusal is kept

    def __init__(self, *, field: str | None = None, **params: Any) -> None:
        self.field = field
        self.params = params
        super().__init__(self.message)

    @property
    def message(self) -> str:
        return self.detail.format(**self.params)


def problem_document(error: DomainError, request_id: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """The refusal as an RFC 9457 problem document; `errors` tells the fields, by default the error's own."""
    if errors is None and error.field:
        errors = [{"field": error.field, "code": error.code, "detail": error.message}]
    return {
        "type": f"urn:modelyard:error:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "request_id": request_id,
        "errors": errors or [],
        **error.members,
    }


class NotFound(DomainError):
    code = "not_found"
    status = 404
    detail = "It was deleted or never existed, or you cannot see it. Check the address."


class NotAuthenticated(DomainError):
    code = "not_authenticated"
    status = 401
    detail = "Sign in, or send a valid API token as `Authorization: Bearer my_...`."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard"'}


class PermissionMissing(DomainError):
    code = "permission_missing"
    status = 403
    detail = "This needs the permission `{permission}`. Ask an owner of the organization for a role that has it."


class ScopeMissing(PermissionMissing):
    """The same for a token, which no role helps by itself."""

    detail = (
        "This token may not do this: it needs the scope `{permission}`, and if it acts for a person their role needs "
        "it too. Use a token that has it."
    )


class Unexpected(DomainError):
    code = "unexpected"
    status = 500
    detail = "Something went wrong on our side. Try again; if it stays, tell support the request id."


class ConcurrentChange(DomainError):
    code = "concurrent_change"
    status = 409
    detail = "This, or what refers to it, was deleted at the same moment. Nothing was done: look, then try again."


class DatabaseUnavailable(DomainError):
    code = "database_unavailable"
    status = 503
    detail = "The database cannot be reached right now. Nothing was changed; try again in a moment."
    headers = {"Retry-After": "5"}


class StorageUnavailable(DomainError):
    code = "storage_unavailable"
    status = 503
    detail = "The file could not be stored. Nothing was kept; try again in a moment."
    headers = {"Retry-After": "10"}
