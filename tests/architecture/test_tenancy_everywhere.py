"""Every table of a tenant has both locks, and nobody goes around them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models

from apps.core import tenancy

ROOT = Path(__file__).resolve().parents[2]
OWN_APPS = [config.label for config in apps.get_app_configs() if config.name.startswith("apps.")]
TENANT_MODELS = [
    m for label in OWN_APPS for m in apps.get_app_config(label).get_models() if issubclass(m, tenancy.TenantModel)
]
GLOBAL_MODELS = {
    "accounts.IdempotentRequest",
    "accounts.Mail",
    "accounts.RefreshFamily",
    "accounts.Session",
    "accounts.SigningKey",
    "accounts.User",
    "console.ClosedOrganization",
    "console.ErasureReceipt",
    "console.OrganizationLoad",
    "console.ProbeHour",
    "console.ProbeResult",
    "jobs.Queue",
    "jobs.Worker",
    "organizations.FeatureFlag",
    "organizations.Organization",
    "ratelimits.Guard",
    "usage.Entitlement",
    "usage.OrganizationUsage",
}


def source_files() -> list[Path]:
    return [path for folder in ("apps", "workers", "config") for path in (ROOT / folder).rglob("*.py")]


def test_every_model_of_ours_belongs_to_a_tenant_or_is_known_to_be_global() -> None:
    ours = {m._meta.label for label in OWN_APPS for m in apps.get_app_config(label).get_models()}
    assert ours - {m._meta.label for m in TENANT_MODELS} == GLOBAL_MODELS


@pytest.mark.django_db
@pytest.mark.parametrize("model", TENANT_MODELS, ids=lambda m: m._meta.label)
def test_row_level_security_is_on_and_forced(model: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table]
        )
        assert cursor.fetchone() == (True, True)
        cursor.execute("SELECT polcmd::text FROM pg_policy WHERE polrelid = %s::regclass", [model._meta.db_table])
        assert "*" in {command for (command,) in cursor.fetchall()}


@pytest.mark.django_db
@pytest.mark.parametrize("model", TENANT_MODELS, ids=lambda m: m._meta.label)
def test_references_between_tenant_tables_carry_the_organization(model: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = %s::regclass",
            [model._meta.db_table],
        )
        definitions = [definition for (definition,) in cursor.fetchall()]
    for field in model._meta.local_fields:
        if field.is_relation and issubclass(field.related_model, tenancy.TenantModel):
            composite = f"FOREIGN KEY (organization_id, {field.column}) REFERENCES {field.related_model._meta.db_table}"
            assert any(definition.startswith(composite) for definition in definitions), field


@pytest.mark.parametrize("model", TENANT_MODELS, ids=lambda m: m._meta.label)
def test_unique_constraints_begin_with_the_organization(model: Any) -> None:
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.fields:
            assert constraint.fields[0] == "organization", constraint.name
    unique = [f.name for f in model._meta.local_fields if f.unique and not f.primary_key and not f.one_to_one]
    assert unique == []


def test_only_the_kernel_admin_and_commands_leave_the_tenant() -> None:
    # Notices are looked for in all organizations at once, and written in the one that they are for.
    allowed = {"core", "admin.py", "commands", "dashboard.py", "tenants", "notices.py"}
    offenders = [
        path.relative_to(ROOT)
        for path in source_files()
        if ".unscoped" in path.read_text() and not allowed & set(path.relative_to(ROOT).parts)
    ]
    assert offenders == []


FORBIDDEN_CLIENTS = {"requests", "httpx", "urllib.request", "http.client", "urllib3", "aiohttp"}
OWN_ENDPOINTS_ONLY = {
    "apps/core/outbound/client.py",  # the one door out
    "apps/core/own_endpoints.py",  # our own addresses, which the operator sets
    "apps/console/sample/client.py",  # our own public API
    "apps/deployments/probing.py",  # our own replicas
    "apps/jobs/client/modelyard.py",  # runs on machines of customers, and calls us
    "workers/supervisor/probes.py",  # our own processes
    "workers/supervisor/bootstrap.py",  # the package index, before anything is installed
}


def test_user_given_addresses_are_reached_through_one_client() -> None:
    offenders = [
        (str(path.relative_to(ROOT)), name)
        for path in source_files()
        for name in imported(path)
        if name in FORBIDDEN_CLIENTS and str(path.relative_to(ROOT)) not in OWN_ENDPOINTS_ONLY
    ]
    assert offenders == []


def test_nothing_is_unpickled() -> None:
    forbidden = {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}
    offenders = [(path.relative_to(ROOT), name) for path in source_files() for name in imported(path) & forbidden]
    assert offenders == []


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
