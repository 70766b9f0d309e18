"""Models that belong to an organization: filtered when their SQL is compiled, guarded when they are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, ClassVar

from django.db import models
from django.db.models.base import ModelBase
from django.db.models.expressions import Expression

from apps.core.ids import uuid7
from apps.core.tenancy.constraints import RowLevelSecurity, SameTenant
from apps.core.tenancy.scopes import TenantNotSet, current, current_tenant_id


class OtherTenant(RuntimeError):
    """A row of one organization was about to be written while another one is in scope."""


class VisibleInScope(Expression):
    """`organization_id = <tenant in scope>`, read when the SQL is compiled, not when the query was written."""

    conditional = True

    def __init__(self, organization: Any, principal: Any = None) -> None:
        super().__init__(output_field=models.BooleanField())
        self.organization, self.principal = organization, principal

    def get_source_expressions(self) -> list[Any]:
        return [self.organization, self.principal] if self.principal else [self.organization]

    def set_source_expressions(self, expressions: Sequence[Any]) -> None:
        self.organization, self.principal = (*expressions, None)[:2]

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        scope = current()
        if scope and scope.tenant_id:
            column, value = self.organization, scope.tenant_id
        elif scope and scope.principal_id and self.principal:
            column, value = self.principal, scope.principal_id
        else:
            raise TenantNotSet("Open a tenant with tenancy.scope(organization_id) first.")
        sql, params = compiler.compile(column)
        return f"{sql} = %s", [*params, value]


class TenantQuerySet(models.QuerySet):
    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        rows = list(objs)
        for row in rows:
            row.claim()
        return super().bulk_create(rows, *args, **kwargs)


class TenantManager(models.Manager.from_queryset(TenantQuerySet)):  # type: ignore[misc]
    def get_queryset(self) -> Any:
        return _visible(self.model, self._queryset_class, self._db).all()


@cache
def _visible(model: Any, queryset_class: type[TenantQuerySet], using: str | None) -> TenantQuerySet:
    """What every query of a model begins with. Made once, because it reads the scope only when it is compiled."""
    principal = model.principal_field
    visible = VisibleInScope(models.F("organization_id"), models.F(principal) if principal else None)
    return queryset_class(model=model, using=using).filter(visible)


class TenantBase(ModelBase):
    """Gives every tenant table its policy, its composite key, and a composite foreign key for each reference."""

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any], **kwargs: Any) -> Any:
        model: Any = super().__new__(cls, name, bases, attrs, **kwargs)
        if not model._meta.abstract and not model._meta.proxy and "organization" in model._meta._forward_fields_map:
            cls._secure(model)
        return model

    @staticmethod
    def _secure(model: Any) -> None:
        table, principal = model._meta.db_table, model.principal_field
        column = model._meta.get_field(principal).column if principal else ""
        secured = [
            RowLevelSecurity(name=f"{table}_tenant", principal_column=column),
            models.UniqueConstraint(fields=["organization", "id"], name=f"{table}_key"),
        ]
        for field in model._meta.local_fields:
            if field.is_relation and _is_tenant_model(field.remote_field.model, model):
                secured.append(SameTenant(name=f"{table}_{field.name}_tenant", field=field.name))
        model._meta.constraints = [*model._meta.constraints, *secured]
        model._meta.original_attrs["constraints"] = model._meta.constraints


def _is_tenant_model(target: Any, model: Any) -> bool:
    return target == "self" or target is model or isinstance(target, TenantBase)


class TenantModel(models.Model, metaclass=TenantBase):
    """A row owned by one organization. Outside a tenant's scope it can be neither read nor written."""

    principal_field: ClassVar[str] = ""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        "organizations.Organization", on_delete=models.CASCADE, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[Any] = TenantManager()
    unscoped: ClassVar[Any] = models.Manager()

    class Meta:
        abstract = True
        default_manager_name = "objects"
        base_manager_name = "objects"

    def claim(self) -> None:
        """Make the row the tenant's in scope, or refuse to touch another tenant's."""
        tenant_id = current_tenant_id()
        if self.organization_id is None:
            self.organization_id = tenant_id
        elif self.organization_id != tenant_id:
            raise OtherTenant(f"{self._meta.label} belongs to another organization than the one in scope.")

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.claim()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        self.claim()
        return super().delete(*args, **kwargs)
