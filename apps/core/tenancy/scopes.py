"""The tenant in scope: one context variable, followed by the database connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID


class TenantNotSet(RuntimeError):
    """A tenant's rows were asked for while no tenant is in scope."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Either a tenant, or a principal (a user or token) that looks for the rows naming it."""

    tenant_id: UUID | None = None
    principal_id: UUID | None = None

    def as_settings(self) -> tuple[str, str]:
        return (str(self.tenant_id or ""), str(self.principal_id or ""))


_scope: ContextVar[Scope | None] = ContextVar("tenant_scope", default=None)


def current() -> Scope | None:
    return _scope.get()


def current_tenant_id() -> UUID:
    scope = _scope.get()
    if scope is None or scope.tenant_id is None:
        raise TenantNotSet("Open a tenant with tenancy.scope(organization_id) first.")
    return scope.tenant_id


@contextmanager
def _entered(scope: Scope | None) -> Iterator[None]:
    token = _scope.set(scope)
    _tell_open_transactions()
    try:
        yield
    finally:
        _scope.reset(token)
        _tell_open_transactions()


def scope(organization_id: UUID):
    """Open a tenant for the block: queries see its rows and no others."""
    return _entered(Scope(tenant_id=organization_id))


def principal(principal_id: UUID):
    """See only the rows that name this user or token, in whichever organization, to find out where it belongs."""
    return _entered(Scope(principal_id=principal_id))


def no_scope():
    """Leave the tenant for the block, as work of the installation itself needs."""
    return _entered(None)


def _tell_open_transactions() -> None:
    from django.db import connections

    connection: Any
    for connection in connections.all(initialized_only=True):
        # An aborted transaction refuses every statement; its rollback takes the setting with it.
        if connection.in_atomic_block and not connection.needs_rollback:
            connection.write_scope()
