from __future__ import annotations

from typing import Any

import pytest

from apps.organizations.models import Membership
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


def test_me_tells_who_is_calling(api_developer: Any) -> None:
    body = api_developer.get("/api/v1/me/").json()
    assert body["organization"]["slug"] == "acme"
    assert "datasets.write" in body["permissions"]
    assert "members.write" not in body["permissions"]


@pytest.mark.parametrize("header", ["", "Bearer nonsense", "Basic abc", "Bearer my_" + "0" * 64 + "." + "a" * 43])
def test_a_call_without_a_valid_token_is_refused_in_one_way(client: Any, acme: Any, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    response = client.get("/api/v1/me/", headers=headers)
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert response.json()["code"] == "not_authenticated"
    assert response.json()["request_id"] == response["X-Request-Id"]


def test_a_signed_in_person_names_the_organization(as_owner: Any, acme: Any) -> None:
    assert as_owner.get("/api/v1/organization/").json()["slug"] == "acme"
    response = as_owner.get("/api/v1/organization/", headers={"Modelyard-Organization": "globex"})
    assert response.status_code == 404


def test_a_wrong_organization_is_told_as_such_whether_or_not_it_exists(as_owner: Any, globex: Any) -> None:
    answers = [as_owner.get("/api/v1/me/", headers={"Modelyard-Organization": slug}) for slug in ("globex", "nowhere")]
    assert [answer.status_code for answer in answers] == [404, 404]
    existing, missing = ({**answer.json(), "request_id": ""} for answer in answers)
    assert existing == missing
    assert existing["code"] == "organization_not_yours"
    assert "Modelyard-Organization" in existing["detail"]


def test_a_person_without_an_organization_is_told_so(client: Any) -> None:
    client.force_login(UserFactory())
    answer = client.get("/api/v1/me/")
    assert (answer.status_code, answer.json()["code"]) == (404, "organization_missing")


def test_a_session_needs_the_csrf_token_to_write(owner: Any, acme: Any) -> None:
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    response = browser.post("/api/v1/tokens/", {"name": "t"}, content_type="application/json")
    assert response.status_code == 403


def test_a_viewer_may_read_and_not_write(api_viewer: Any) -> None:
    assert api_viewer.get("/api/v1/members/").status_code == 200
    response = api_viewer.post("/api/v1/invitations/", {"email": "a@b.test", "role": "analyst"})
    assert response.status_code == 403
    assert response.json()["code"] == "permission_missing"


def test_a_token_is_shown_once(api_owner: Any) -> None:
    made = api_owner.post("/api/v1/tokens/", {"name": "ci", "scopes": ["datasets.read"]})
    assert made.status_code == 201
    assert made.json()["token"].startswith("my_")
    shown = api_owner.get(f"/api/v1/tokens/{made.json()['id']}/").json()
    assert "token" not in shown
    assert "secret_hash" not in shown


def test_wrong_fields_are_named(api_owner: Any) -> None:
    response = api_owner.post("/api/v1/tokens/", {"scopes": ["flying"]})
    assert response.status_code == 422
    assert {error["field"] for error in response.json()["errors"]} == {"name", "scopes.0"}


def test_another_organizations_rows_are_not_found(api_owner: Any, api_outsider: Any, acme: Any) -> None:
    token_id = api_owner.get("/api/v1/tokens/").json()["results"][0]["id"]
    assert api_outsider.get(f"/api/v1/tokens/{token_id}/").status_code == 404
    assert api_outsider.post(f"/api/v1/tokens/{token_id}/revoke/").status_code == 404
    assert all(row["id"] != token_id for row in api_outsider.get("/api/v1/tokens/").json()["results"])


def test_members_come_with_their_people_in_one_query(
    api_owner: Any, in_acme: Any, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as three:
        api_owner.get("/api/v1/members/")
    Membership.objects.exclude(role="owner").delete()
    with CaptureQueriesContext(connection) as one:
        api_owner.get("/api/v1/members/")
    assert len(one) == len(three)
