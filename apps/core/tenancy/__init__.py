"""Tenancy, the first lock: a scope, and models that filter by it when their SQL is compiled.

The second lock is row-level security in PostgreSQL (`constraints.RowLevelSecurity`, `core.postgres`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.core.tenancy.scopes import TenantNotSet, current, current_tenant_id, no_scope, principal, scope

if TYPE_CHECKING:
    from apps.core.tenancy.models import OtherTenant, TenantManager, TenantModel, TenantQuerySet

__all__ = [
    "OtherTenant",
    "TenantManager",
    "TenantModel",
    "TenantNotSet",
    "TenantQuerySet",
    "current",
    "current_tenant_id",
    "no_scope",
    "principal",
    "scope",
]


def __getattr__(name: str) -> Any:
    # The database back end reads the scope before the app registry can load models.
    if name in {"OtherTenant", "TenantManager", "TenantModel", "TenantQuerySet"}:
        from apps.core.tenancy import models

        return getattr(models, name)
    raise AttributeError(name)
