"""What can be refused, and how a refusal is told. Imports no Django: the data plane raises these too."""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal the caller can act on.

    Subclasses name the refusal and say what to do; keyword arguments fill the text and travel as `params`.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    detail: ClassVar[str] = "The request was refused."
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, *, field: str | None = None, **params: Any) -> None:
        self.field = field
        self.params = params
        super().__init__(self.message)

    @property
    def message(self) -> str:
        return self.detail.format(**self.params)


class NotFound(DomainError):
    code = "not_found"
    status = 404
    detail = "There is nothing here that you can see. Check the address."


class NotAuthenticated(DomainError):
    code = "not_authenticated"
    status = 401
    detail = "Sign in, or send a valid API token as `Authorization: Bearer my_...`."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard"'}


class PermissionMissing(DomainError):
    code = "permission_missing"
    status = 403
    detail = "This needs the permission `{permission}`. Ask an owner of the organization for a role that has it."


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
