"""Tokens by the API and in the pages."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import examples, services
from apps.organizations.enums import TokenKind
from apps.organizations.models import ApiToken, Membership
from apps.organizations.permissions import ALL, ROLE_PERMISSIONS
from tests.conftest import actor_of

pytestmark = pytest.mark.django_db

TOKENS = "/api/v1/tokens/"
PAGES = "/o/acme/settings/tokens/"
NEW = {"name": "nightly", "scopes": ["datasets.read"], "lifetime": "90"}
DOCUMENT = Path(__file__).parents[2] / "docs" / "tokens.md"


def bearer(text: str, **extra: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"}, **extra)


def made_in(organization: Any) -> ApiToken:
    with tenancy.scope(organization.pk):
        return ApiToken.objects.get(name="nightly")


# The API


def test_a_token_is_made_rotated_and_revoked(api_owner: Any) -> None:
    body = {"name": "ci", "kind": "organization", "scopes": ["projects.read"], "allowed_networks": ["127.0.0.1/8"]}
    made = api_owner.post(TOKENS, body)
    assert made.status_code == 201
    assert made.json()["allowed_networks"] == ["127.0.0.0/8"]
    assert made["Location"] == f"{TOKENS}{made.json()['id']}/"
    assert "no-store" in made["Cache-Control"]
    first = made.json()["token"]
    rotated = api_owner.post(f"{made['Location']}rotate/", {"overlap_hours": 1}).json()
    for text in (first, rotated["token"]):
        assert bearer(text).get("/api/v1/projects/").status_code == 200
    ends_at = datetime.fromisoformat(rotated["previous_expires_at"])
    assert timedelta(minutes=59) < ends_at - timezone.now() < timedelta(minutes=61)
    assert api_owner.post(f"{made['Location']}revoke/").json()["status"] == "revoked"
    for text in (first, rotated["token"]):
        assert bearer(text).get("/api/v1/projects/").status_code == 401


@pytest.mark.parametrize("hours", [-1, 169, "soon", 1.5])
def test_an_overlap_is_a_week_at_most(hours: Any, api_owner: Any) -> None:
    token_id = api_owner.get(TOKENS).json()["results"][0]["id"]
    answer = api_owner.post(f"{TOKENS}{token_id}/rotate/", {"overlap_hours": hours})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["overlap_hours"]


def test_the_same_key_gives_the_rotated_text_again(api_owner: Any) -> None:
    made = api_owner.post(TOKENS, {"name": "ci", "scopes": ["projects.read"]})
    path = f"{made['Location']}rotate/"
    answers = [api_owner.post(path, {}, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert answers[0].json()["token"] == answers[1].json()["token"] != made.json()["token"]


def test_name_and_networks_are_changed_and_nothing_else(api_owner: Any) -> None:
    made = api_owner.post(TOKENS, {"name": "ci", "scopes": ["projects.read"]})
    changes = {"allowed_networks": ["::1"], "scopes": ["organization.transfer"], "kind": "organization"}
    changed = api_owner.patch(made["Location"], changes, headers={"If-Match": made["ETag"]})
    assert changed.status_code == 200
    body = changed.json()
    assert (body["name"], body["allowed_networks"]) == ("ci", ["::1/128"])
    assert (body["scopes"], body["kind"]) == (["projects.read"], "personal")
    assert api_owner.patch(made["Location"], {"name": "x"}, headers={"If-Match": made["ETag"]}).status_code == 412


def test_a_wrong_network_is_named(api_owner: Any) -> None:
    answer = api_owner.post(TOKENS, {"name": "ci", "scopes": ["projects.read"], "allowed_networks": ["office"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "network_invalid")
    assert answer.json()["errors"][0]["field"] == "allowed_networks"


def test_a_call_from_elsewhere_is_told_its_address(in_acme: Any, actor: Actor) -> None:
    _, text = services.create_token("t", ["projects.read"], by=actor, allowed_networks=["10.0.0.0/8"])
    assert bearer(text, REMOTE_ADDR="10.9.8.7").get("/api/v1/projects/").status_code == 200
    answer = bearer(text, REMOTE_ADDR="192.0.2.1").get("/api/v1/projects/")
    assert (answer.status_code, answer.json()["code"]) == (403, "address_not_allowed")
    assert "192.0.2.1" in answer.json()["detail"]
    forged = Client(headers={"Authorization": f"Bearer {text}", "X-Forwarded-For": "10.9.8.7"}, REMOTE_ADDR="192.0.2.1")
    assert forged.get("/api/v1/projects/").status_code == 403


def test_a_developer_neither_sees_nor_stops_anothers_token(api_developer: Any, in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("theirs", ["projects.read"], by=actor)
    assert [row["name"] for row in api_developer.get(TOKENS).json()["results"]] == ["developer@acme.test's token"]
    for method, path in (("get", ""), ("patch", ""), ("post", "rotate/"), ("post", "revoke/")):
        assert getattr(api_developer, method)(f"{TOKENS}{token.pk}/{path}").status_code == 404
    assert bearer(text).get("/api/v1/projects/").status_code == 200


def test_a_developer_makes_no_token_of_the_organization(api_developer: Any) -> None:
    answer = api_developer.post(TOKENS, {"name": "t", "kind": "organization", "scopes": ["projects.read"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


def test_a_token_of_the_organization_calls_in_its_own_name(in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("robot", sorted(ALL), by=actor, kind=TokenKind.ORGANIZATION)
    me = bearer(text).get("/api/v1/me/").json()
    assert (me["kind"], me["id"]) == ("token", str(token.pk))
    assert me["label"] == "robot (token of the organization)"


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "authorization"])
def test_a_token_in_the_address_is_no_token(name: str, in_acme: Any, actor: Actor) -> None:
    _, text = services.create_token("t", ["projects.read"], by=actor)
    for value in (text, f"Bearer {text}"):
        assert Client().get("/api/v1/projects/", {name: value}).status_code == 401


def test_s3_neither_a_call_nor_its_crash_writes_the_token_to_the_log(
    in_acme: Any, actor: Actor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = services.create_token("t", ["projects.read"], by=actor)
    client = bearer(text)
    client.raise_request_exception = False
    with caplog.at_level(logging.DEBUG):
        client.get("/api/v1/projects/")
        bearer(text[:-3] + "aaa").get("/api/v1/projects/")

        def crash(*_: Any) -> None:
            raise RuntimeError("a defect")

        monkeypatch.setattr("apps.organizations.queries.actor_for_token", crash)
        assert client.get("/api/v1/projects/").status_code == 500
    assert "a defect" in caplog.text
    assert text.partition(".")[2] not in caplog.text


def test_scanners_find_a_token_by_the_documented_expression(in_acme: Any, actor: Actor) -> None:
    _, text = services.create_token("t", ["projects.read"], by=actor)
    expression = re.search(r"`(my_\[0-9a-f\].*?)`", DOCUMENT.read_text())
    assert expression
    assert re.findall(expression.group(1), f"TOKEN={text};") == [text]


@pytest.mark.parametrize("scope", sorted(scope for scope in ALL if scope.endswith(".read")))
def test_the_example_of_a_new_token_is_a_call_that_its_scope_allows(scope: str, in_acme: Any, actor: Actor) -> None:
    _, text = services.create_token("t", [scope], by=actor)
    path = re.search(r"http://edge(\S+)|http://web(\S+)", examples.curl([scope], text, "http://web", "http://edge"))
    if path and path.group(2):
        assert bearer(text).get(path.group(2)).status_code == 200


# Pages


def test_a_token_is_made_on_its_page_and_shown_once(as_developer: Any, acme: Any) -> None:
    shown = as_developer.post(f"{PAGES}new/", {**NEW, "allowed_networks": "10.0.0.1/8, 2001:db8::/32"})
    assert shown.status_code == 200
    text = re.search(r"my_[0-9a-f]{64}\.[\w-]{43}", shown.content.decode())
    assert text
    assert "no-store" in shown["Cache-Control"]
    token = made_in(acme)
    assert token.allowed_networks == ["10.0.0.0/8", "2001:db8::/32"]
    for path in (PAGES, f"{PAGES}{token.pk}/"):
        assert text.group() not in as_developer.get(path).content.decode()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"name": ""}, "This field is required"),
        ({"scopes": []}, "Choose at least one"),
        ({"scopes": ["organization.transfer"]}, "Select a valid choice"),
        ({"lifetime": "0"}, "Select a valid choice"),
        ({"lifetime": "date"}, "Choose the last day"),
        ({"lifetime": "date", "expires_at": "2020-01-01"}, "have expired already"),
        ({"lifetime": "date", "expires_at": "2999-01-01"}, "366 days at most"),
        ({"lifetime": "date", "expires_at": "9999-12-31"}, "366 days at most"),
        ({"lifetime": "date", "expires_at": "soon"}, "Enter a valid date"),
        ({"allowed_networks": "office"}, "<code>office</code> is no network"),
    ],
)
def test_what_does_not_fit_stands_beside_its_field(
    typed: dict[str, Any], told: str, as_developer: Any, in_acme: Any
) -> None:
    answer = as_developer.post(f"{PAGES}new/", {**NEW, **typed})
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_chosen_day_counts_to_its_end_in_the_organizations_time_zone(as_owner: Any, acme: Any) -> None:
    acme.time_zone = "Pacific/Auckland"
    acme.save()
    day = timezone.localdate() + timedelta(days=30)
    as_owner.post(f"{PAGES}new/", {**NEW, "kind": "personal", "lifetime": "date", "expires_at": day.isoformat()})
    ends_at = made_in(acme).expires_at.isoformat()
    assert ends_at[11:] in {"11:00:00+00:00", "12:00:00+00:00"}


@pytest.mark.parametrize(
    ("preset", "checked"),
    [
        ("", {"predictions.create"}),
        ("predict", {"predictions.create"}),
        ("read", {scope for scope in ROLE_PERMISSIONS["developer"] if scope.endswith(".read")}),
        ("everything", set(ROLE_PERMISSIONS["developer"])),
    ],
)
def test_a_preset_checks_its_scopes_among_those_that_one_has(preset: str, checked: set[str], as_developer: Any) -> None:
    page = as_developer.get(f"{PAGES}new/?preset={preset}").content.decode()
    assert set(re.findall(r'value="([a-z_]+\.[a-z]+)"', page)) == ROLE_PERMISSIONS["developer"]
    assert set(re.findall(r'value="([a-z_]+\.[a-z]+)"[^>]* checked', page)) == checked


def test_a_developer_is_not_offered_a_token_of_the_organization(as_developer: Any, as_owner: Any, acme: Any) -> None:
    assert 'name="kind"' not in as_developer.get(f"{PAGES}new/").content.decode()
    assert 'name="kind"' in as_owner.get(f"{PAGES}new/").content.decode()
    as_developer.post(f"{PAGES}new/", {**NEW, "kind": "organization"})
    assert made_in(acme).kind == TokenKind.PERSONAL


def test_a_token_is_rotated_and_revoked_on_its_page(as_owner: Any, in_acme: Any, actor: Actor) -> None:
    token, text = services.create_token("t", ["projects.read"], by=actor)
    page = f"{PAGES}{token.pk}/"
    rotated = as_owner.post(f"{page}rotate/", {"overlap_hours": "24", "lifetime": "365"}).content.decode()
    new = re.search(r"my_[0-9a-f]{64}\.[\w-]{43}", rotated)
    assert new
    assert new.group() != text
    assert "Two secrets work" in as_owner.get(page).content.decode()
    assert as_owner.post(f"{page}rotate/", {"overlap_hours": "5000"}).status_code == 422
    assert as_owner.post(f"{page}revoke/").status_code == 303
    assert bearer(new.group()).get("/api/v1/projects/").status_code == 401
    assert "Revoked" in as_owner.get(page).content.decode()


def test_a_page_offers_only_what_one_may(as_owner: Any, as_developer: Any, in_acme: Any, developer: Any) -> None:
    token, _ = services.create_token("t", ["projects.read"], by=actor_of(developer, "developer"))
    theirs, ours = (client.get(f"{PAGES}{token.pk}/").content.decode() for client in (as_owner, as_developer))
    assert 'data-dialog="revoke-token"' in theirs
    assert 'data-dialog="rotate-token"' not in theirs
    assert 'data-dialog="rotate-token"' in ours
    assert as_owner.post(f"{PAGES}{token.pk}/rotate/", {"overlap_hours": "0"}).status_code == 422
    assert as_developer.get(f"{PAGES}{_owners_token(in_acme).pk}/").status_code == 404


def _owners_token(organization: Any) -> ApiToken:
    membership = Membership.objects.select_related("user").get(role="owner")
    return services.create_token("o", ["projects.read"], by=actor_of(membership.user, "owner"))[0]


def test_an_edit_from_an_old_page_does_not_overwrite(as_owner: Any, in_acme: Any, actor: Actor) -> None:
    token, _ = services.create_token("t", ["projects.read"], by=actor)
    page = f"{PAGES}{token.pk}/edit/"
    seen = re.search(r'name="seen" value="([^"]+)"', as_owner.get(page).content.decode())
    assert seen
    services.edit_token(token, "theirs", [], by=actor)
    stale = as_owner.post(page, {"name": "mine", "allowed_networks": "10.0.0.0/8", "seen": seen.group(1)})
    assert stale.status_code == 422
    assert "theirs" in stale.content.decode()
    token.refresh_from_db()
    assert token.name == "theirs"


def test_a_scope_that_the_role_lost_is_said_to_have_no_effect(as_owner: Any, in_acme: Any, developer: Any) -> None:
    token, _ = services.create_token("t", ["datasets.write"], by=actor_of(developer, "developer"))
    Membership.objects.filter(user=developer).update(role="analyst")
    assert "Some scopes have no effect" in as_owner.get(f"{PAGES}{token.pk}/").content.decode()


def test_the_list_costs_the_same_with_1_and_with_3_tokens(as_owner: Any, in_acme: Any, actor: Actor) -> None:
    services.create_token("t", ["projects.read"], by=actor)
    as_owner.get(PAGES)  # the session is new once
    with CaptureQueriesContext(connection) as one:
        as_owner.get(PAGES)
    for kind in (TokenKind.PERSONAL, TokenKind.ORGANIZATION):
        services.create_token("t", ["projects.read"], by=actor, kind=kind)
    with CaptureQueriesContext(connection) as three:
        page = as_owner.get(PAGES)
    assert len(three) == len(one)
    assert page.content.decode().count("data-row-link") == 3
    assert as_owner.get(f"{PAGES}?kind=organization").content.decode().count("data-row-link") == 1
