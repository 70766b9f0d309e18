"""Every page and every operation of the API, tried by somebody from another organization, nobody, and each role."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern

from apps.core.actors import Actor
from apps.organizations.permissions import ALL
from tests.architecture.doors import OPERATIONS, PAGES, address, operation_path
from tests.factories import world

pytestmark = pytest.mark.django_db


def test_the_walk_found_the_doors() -> None:
    assert len(PAGES) > 25
    assert len(OPERATIONS) > 30


@pytest.mark.parametrize(("route", "pattern"), PAGES, ids=[route for route, _ in PAGES])
def test_every_page_names_a_permission_of_the_table(route: str, pattern: URLPattern) -> None:
    assert {pattern.callback.permission, pattern.callback.post_permission} <= ALL


@pytest.fixture
def acme_world(acme: Any, actor: Actor) -> dict[str, Any]:
    return world.build(acme, actor)


def call(client: Any, method: str, path: str) -> Any:
    if method in {"post", "put", "patch"}:
        return getattr(client, method)(path, {}, headers={"HX-Request": "true"})
    return getattr(client, method)(path)


def test_an_outsider_finds_nothing_on_any_page(acme_world: Any, as_outsider: Client) -> None:
    for route, _ in PAGES:
        for method in ("get", "post"):
            response = call(as_outsider, method, address(route, "acme", acme_world))
            assert response.status_code == 404, (method, route)
            assert b"walnut" not in response.content, route
            if "<uuid:" in route:
                response = call(as_outsider, method, address(route, "globex", acme_world))
                assert response.status_code in {404, 405}, (method, route)
                assert b"walnut" not in response.content, route


def test_nobody_is_sent_to_the_login_page(acme_world: Any, client: Client) -> None:
    for route, _ in PAGES:
        response = client.get(address(route, "acme", acme_world))
        assert response.status_code in {302, 405}, route
        if response.status_code == 302:
            assert response["Location"].startswith("/accounts/login/"), route


def test_every_page_opens_for_the_owner(acme_world: Any, as_owner: Client) -> None:
    for route, _ in PAGES:
        response = as_owner.get(address(route, "acme", acme_world))
        # A row of the world has no file behind it, which is a refusal with a reason and not a crash.
        assert response.status_code in {200, 302, 303, 404, 405, 409, 422, 503}, (route, response.status_code)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])
def test_operation_hides_other_tenants_rows(
    path: str, method: str, operation: Any, acme_world: Any, api_outsider: Any, client: Client
) -> None:
    target = operation_path(path, acme_world)
    response = getattr(api_outsider, method)(target)
    if "{id}" in path:
        assert response.status_code == 404, response.content
        assert response["Content-Type"] == "application/problem+json"
    assert b"walnut" not in response.getvalue()
    assert str(acme_world["dataset_id"].organization_id).encode() not in response.getvalue()
    assert getattr(client, method)(target).status_code == 401


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_unknown_id_and_anothers_id_are_answered_alike(method: str, acme_world: Any, api_outsider: Any) -> None:
    answers = [
        getattr(api_outsider, method)(f"/api/v1/datasets/{row_id}/")
        for row_id in (acme_world["dataset_id"].pk, uuid4())
    ]
    first, second = ({**a.json(), "request_id": ""} if a.content else {} for a in answers)
    assert first == second
    assert answers[0].status_code == answers[1].status_code
