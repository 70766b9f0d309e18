"""Every door of the control plane: the pages inside an organization and the operations of the API, with real ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from drf_spectacular.generators import SchemaGenerator

from apps.core.api.permissions import needed_permission

ORGANIZATION = "o/<slug:organization_slug>/"
ROW_OF_AREA = {
    "datasets": "dataset_id",
    "dataset-versions": "version_id",
    "training-runs": "run_id",
    "models": "model_id",
    "model-versions": "model_version_id",
    "deployments": "deployment_id",
    "replicas": "replica_id",
    "jobs": "job_id",
    "tokens": "token_id",
    "members": "membership_id",
    "projects": "project_id",
    "invitations": "invitation_id",
    "calls": "call_id",
    "notifications": "notification_id",
    "webhooks": "endpoint_id",
    "webhook-deliveries": "delivery_id",
    "usage": "event_id",
    "audit": "entry_id",
    "organization": "export_id",
    "ratelimits/policies": "policy_id",
    "ratelimits/entries": "limit_entry_id",
    "gateway/upstreams": "upstream_id",
    "gateway/upstream-keys": "secret_id",
    "gateway/routes": "route_id",
    "gateway/keys": "key_id",
    "gateway/calls": "model_call_id",
    "costs/overrides": "price_id",
}


def page_patterns() -> list[tuple[str, URLPattern]]:
    """Every page inside an organization: its route below it and its pattern."""

    def walk(resolver: URLResolver, route: str) -> Iterator[tuple[str, URLPattern]]:
        for pattern in resolver.url_patterns:
            below = route + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern, below)
            else:
                yield below, pattern

    return [(route, pattern) for route, pattern in walk(get_resolver(), "") if route.startswith(ORGANIZATION)]


PAGES = page_patterns()
# What a person does outside every organization: tests/accounts, tests/organizations/test_my_organizations.py
OUTSIDE = {
    "/api/v1/auth/token/",
    "/api/v1/auth/refresh/",
    "/api/v1/auth/revoke/",
    "/api/v1/organizations/",
}
OPERATIONS = [
    (path, method, operation)
    for path, methods in SchemaGenerator().get_schema(public=True)["paths"].items()
    for method, operation in methods.items()
    if path not in OUTSIDE
]


def address(route: str, slug: str, rows: dict[str, Any]) -> str:
    """The page's address in the organization at `slug`, with real ids of `rows` in it."""
    path = "/" + route.replace("<slug:organization_slug>", slug)
    for name, row in rows.items():
        path = path.replace(f"<uuid:{name}>", str(row.pk))
    path = path.replace("<str:request_id>", rows["model_call_id"].request_id)
    if "models/versions/" in path:
        path = path.replace(str(rows["version_id"].pk), str(rows["model_version_id"].pk))
    assert "<" not in path, f"the world has no row for {path}"
    return path


def operation_path(path: str, rows: dict[str, Any]) -> str:
    """The operation's path with a real id of `rows` in it."""
    area = path.removeprefix("/api/v1/").partition("/{id}/")[0]
    name = ROW_OF_AREA.get(area) or ROW_OF_AREA.get(area.partition("/")[0])
    return path.replace("{id}", str(rows[name].pk)) if name else path


def operation_permission(path: str, method: str) -> str:
    """What the view behind an operation says that it needs."""
    view = resolve(path.replace("{id}", "00000000-0000-0000-0000-000000000000")).func
    handler = view.cls()
    handler.action = getattr(view, "actions", {}).get(method)
    return needed_permission(handler, method.upper())


@contextmanager
def undone() -> Iterator[None]:
    """What a call changed is taken back, so that the next one finds the same world."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
