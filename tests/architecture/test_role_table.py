"""The table of roles, cell by cell: every role at every page and every operation of the API."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.api.permissions import SAFE_METHODS
from apps.organizations.enums import Role
from apps.organizations.models import Membership
from apps.organizations.permissions import TABLE
from tests.architecture.doors import OPERATIONS, PAGES, address, operation_path, operation_permission, undone
from tests.conftest import actor_of, api_client
from tests.factories import world
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme_world(acme: Any, actor: Actor) -> dict[str, Any]:
    return world.build(acme, actor)


@pytest.fixture(params=list(Role))
def role(request: pytest.FixtureRequest) -> Role:
    return request.param


@pytest.fixture
def person(acme: Any, role: Role) -> Any:
    user = UserFactory(email=f"{role}.cell@acme.test")
    with tenancy.scope(acme.pk):
        Membership.objects.create(user=user, role=role)
    return user


def refused_for(answer: Any) -> str:
    """The permission that an answer names as missing, or nothing."""
    if answer.status_code != 403:
        return ""
    told = json.loads(answer["HX-Trigger"])["toast"]["text"] if "HX-Trigger" in answer else answer.content.decode()
    named = re.search(r"the (?:permission|scope) ([a-z_.]+)[.,] ", told.replace("`", ""))
    return named[1] if named else ""


def test_s2_every_page_opens_exactly_for_the_roles_of_the_table(role: Role, acme_world: Any, person: Any) -> None:
    browser = Client(headers={"HX-Request": "true"})
    browser.force_login(person)
    for route, pattern in PAGES:
        cells = (("get", pattern.callback.permission), ("post", pattern.callback.post_permission))
        for method, permission in cells:
            with undone():
                answer = getattr(browser, method)(address(route, "acme", acme_world))
            missing = "" if role in TABLE[permission] or answer.status_code == 405 else permission
            assert refused_for(answer) == missing, (role, method, route, answer.status_code)


def test_s2_every_operation_works_exactly_for_the_roles_of_the_table(
    role: Role, acme: Any, acme_world: Any, person: Any
) -> None:
    client = api_client(acme, actor_of(person, role))
    for path, method, _ in OPERATIONS:
        permission = operation_permission(path, method)
        with undone():
            answer = getattr(client, method)(operation_path(path, acme_world))
        missing = "" if role in TABLE[permission] else permission
        assert refused_for(answer) == missing, (role, method, path, answer.status_code)
        assert answer.status_code < 500 or answer.status_code == 503, (role, method, path)


def test_s2_every_permission_of_the_table_opens_a_door() -> None:
    pages = {p for _, pattern in PAGES for p in (pattern.callback.permission, pattern.callback.post_permission)}
    operations = {operation_permission(path, method) for path, method, _ in OPERATIONS}
    elsewhere = {
        "predictions.create",  # the data plane's own: tests/edge
        # Widen what the doors of `tokens.*` show and change: tests/organizations/test_tokens.py
        "organization_tokens.read",
        "organization_tokens.write",
    }
    assert set(TABLE) - pages - operations == elsewhere


def test_s2_an_operation_that_only_reads_needs_a_permission_to_read() -> None:
    for path, method, _ in OPERATIONS:
        reads, permission = method.upper() in SAFE_METHODS, operation_permission(path, method)
        # All data at once is more than reading, so that who may only read, an operator who looks too, has it not.
        assert permission.endswith(".read") == reads or permission == "organization.export", (method, path)
