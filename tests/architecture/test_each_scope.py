"""Every operation of the API, tried with tokens that have exactly one scope."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.enums import TokenKind
from apps.organizations.permissions import TABLE
from tests.architecture.doors import OPERATIONS

pytestmark = pytest.mark.django_db

# What an address is about, written down once more: a view that names another area than its address fails here.
AREA_OF_PATH = {
    "me": "organization",
    "organization": "organization",
    "roles": "members",
    "members": "members",
    "invitations": "members",
    "projects": "projects",
    "tokens": "tokens",
    "audit": "audit",
    "datasets": "datasets",
    "dataset-versions": "datasets",
    "training-runs": "training",
    "models": "models",
    "model-versions": "models",
    "deployments": "deployments",
    "replicas": "deployments",
    "jobs": "jobs",
    "usage": "usage",
    "calls": "calls",
    "notifications": "notifications",
    "notification-preferences": "notifications",
    "job-queues": "jobs",
    "ratelimits": "limits",
    "gateway": "gateway",
    "costs": "prices",
    "webhooks": "webhooks",
    "webhook-deliveries": "webhooks",
}
OUTSIDE_WORK = (
    *("claim", "start", "{id}/heartbeat", "{id}/log", "{id}/complete"),
    *("{id}/fail", "{id}/release"),
)
OTHER_SCOPES = {
    "post /api/v1/organization/transfer/": "organization.transfer",
    "post /api/v1/organization/leave/": "organization.leave",
    "get /api/v1/organization/exports/": "organization.export",
    "post /api/v1/organization/exports/": "organization.export",
    "get /api/v1/organization/exports/{id}/": "organization.export",
    "get /api/v1/organization/exports/{id}/file/": "organization.export",
    "post /api/v1/organization/deletion/": "organization.delete",
    "delete /api/v1/organization/deletion/": "organization.delete",
    **{f"post /api/v1/ratelimits/{what}/": "limits.check" for what in ("check", "check/batch", "extend", "settle")},
    **{f"get /api/v1/gateway/calls/{what}": "model_calls.read" for what in ("", "{id}/")},
    **{f"post /api/v1/jobs/{what}/": "jobs.work" for what in OUTSIDE_WORK},
}
MINE = "/api/v1/organizations/"
DOORS = [(path, method) for path, method, _ in OPERATIONS]


def needed_scope(path: str, method: str) -> str:
    area = AREA_OF_PATH[path.removeprefix("/api/v1/").split("/")[0]]
    return OTHER_SCOPES.get(f"{method} {path}", f"{area}.{'read' if method == 'get' else 'write'}")


@pytest.fixture(params=list(TABLE))
def scope(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def client_with_one(scope: str, acme: Any, actor: Actor) -> APIClient:
    with tenancy.scope(acme.pk):
        _, text = services.create_token(scope, [scope], by=actor, kind=TokenKind.ORGANIZATION)
    client = APIClient()
    client.default_format = "json"
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def code_of(client: APIClient, path: str, method: str) -> str:
    """Call for a row that does not exist, so that whoever is let in changes nothing; take back what is changed."""
    with transaction.atomic():
        answer = getattr(client, method)(path.replace("{id}", str(uuid4())))
        transaction.set_rollback(True)
    return answer.json()["code"] if answer.status_code >= 400 else ""


def test_s2_a_token_with_one_scope_opens_the_operations_of_that_scope_and_no_others(
    scope: str, client_with_one: APIClient
) -> None:
    for path, method in DOORS:
        is_refused = code_of(client_with_one, path, method) == "permission_missing"
        assert is_refused == (needed_scope(path, method) != scope), (method, path)


def test_what_is_a_persons_opens_for_no_token(client_with_one: APIClient) -> None:
    assert {code_of(client_with_one, MINE, method) for method in ("get", "post")} == {"personal_call_needed"}
