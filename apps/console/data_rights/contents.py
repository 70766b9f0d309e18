"""What belongs into an export: every table of a tenant, without what would let its reader in somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import models
from pydantic_core import to_json

from apps.accounts.models import User
from apps.core import tenancy
from apps.organizations.models import Membership, Organization

CHUNK_ROWS = 2_000
# Secrets, sealed or hashed. tests/console/test_export.py finds those that a new model forgets here.
LEFT_OUT: dict[str, frozenset[str]] = {
    "gateway.UpstreamKey": frozenset({"sealed"}),
    "notifications.WebhookEndpoint": frozenset({"sealed_secret", "sealed_previous_secret"}),
    "organizations.ApiToken": frozenset({"secret_hash", "previous_hash"}),
    "organizations.IdempotentRequest": frozenset({"fingerprint", "body"}),
    "organizations.Invitation": frozenset({"secret_hash"}),
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that become one file of JSON lines."""

    name: str
    rows: models.QuerySet[Any]
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        """What people call its rows."""
        return str(self.rows.model._meta.verbose_name_plural)

    def count(self) -> int:
        return self.rows.count()

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """How many rows, and their lines, in the order of their ids. Memory does not grow with the table."""
        ordered = self.rows.order_by("pk").values(*self.columns)
        chunk = list(ordered[:CHUNK_ROWS])
        while chunk:
            yield len(chunk), b"".join(line(row) for row in chunk)
            chunk = list(ordered.filter(pk__gt=chunk[-1]["id"])[:CHUNK_ROWS])


def line(row: dict[str, Any]) -> bytes:
    """One row as JSON, with times in RFC 3339."""
    return to_json(row, inf_nan_mode="strings") + b"\n"


def tenant_models() -> list[Any]:
    """Every model of a tenant that there is, by name."""
    found = [model for model in apps.get_models() if issubclass(model, tenancy.TenantModel)]
    return sorted(found, key=lambda model: model._meta.label_lower)


def columns_of(model: type[models.Model]) -> tuple[str, ...]:
    left_out = LEFT_OUT.get(model._meta.label, frozenset())
    return tuple(field.attname for field in model._meta.concrete_fields if field.attname not in left_out)


def tables() -> list[Table]:
    """The scope's organization, the people in it, and its rows of every model."""
    own = Organization.objects.filter(pk=tenancy.current_tenant_id())
    people = User.objects.filter(pk__in=list(Membership.objects.values_list("user_id", flat=True)))
    return [
        Table("organizations.organization", own, columns_of(Organization)),
        Table("accounts.user", people, ("id", "email", "name")),
        *(Table(model._meta.label_lower, model._default_manager.all(), columns_of(model)) for model in tenant_models()),
    ]
