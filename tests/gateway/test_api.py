"""The gateway by the API: what it takes, what it refuses and why, and that it tells no secret."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.gateway import services
from apps.gateway.models import ModelCallBody, Route, Upstream, UpstreamKey, VirtualKey
from tests.gateway.conftest import SECRET
from tests.gateway.test_pages import make_call

pytestmark = pytest.mark.django_db

HOME = "/api/v1/gateway/"
UPSTREAMS, SECRETS, ROUTES, KEYS, CALLS = (
    f"{HOME}{name}/" for name in ("upstreams", "upstream-keys", "routes", "keys", "calls")
)


def fields(answer: Any) -> set[str]:
    return {error["field"] for error in answer.json().get("errors", [])}


def make(api: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """An upstream and a route that leads to it."""
    upstream = api.post(UPSTREAMS, {"name": "Provider", "kind": "openai", "secret": SECRET})
    assert upstream.status_code == 201, upstream.content
    target = {"upstream": upstream.json()["id"], "model": "gpt-4o-mini"}
    route = api.post(ROUTES, {"name": "chat", "targets": [target]})
    assert route.status_code == 201, route.content
    return upstream.json(), route.json()


def test_an_upstream_a_route_and_a_key_are_made_changed_and_deleted(api_owner: Any, acme: Any) -> None:
    upstream, route = make(api_owner)
    assert upstream["base_url"] == "https://api.openai.com/v1"
    assert [key["hint"] for key in upstream["keys"]] == ["4711"]
    assert api_owner.get(f"{UPSTREAMS}{upstream['id']}/").json() == upstream
    assert route["targets"][0]["upstream"] == upstream["id"]
    key = api_owner.post(KEYS, {"name": "program", "routes": [route["id"]], "budget_micro_usd": 5_000_000})
    assert key.status_code == 201, key.content
    assert key.json()["secret"]
    assert key["Cache-Control"] == "no-store"
    shown = api_owner.get(key["Location"]).json()
    assert "secret" not in shown
    assert shown["routes"] == [route["id"]]
    assert api_owner.patch(key["Location"], {"tags": {"team": "search"}}).json()["tags"] == {"team": "search"}
    assert api_owner.patch(f"{ROUTES}{route['id']}/", {"strategy": "fastest"}).json()["strategy"] == "fastest"
    assert api_owner.delete(f"{UPSTREAMS}{upstream['id']}/").status_code == 409
    assert api_owner.delete(key["Location"]).status_code == 204
    assert api_owner.delete(f"{ROUTES}{route['id']}/").status_code == 204
    assert api_owner.delete(f"{UPSTREAMS}{upstream['id']}/").status_code == 204
    with tenancy.scope(acme.pk):
        assert not Upstream.objects.exists()


def test_no_answer_tells_a_secret(api_owner: Any) -> None:
    upstream, route = make(api_owner)
    added = api_owner.post(SECRETS, {"upstream": upstream["id"], "name": "second", "secret": "sk-second-0815-abc"})
    assert added.status_code == 201, added.content
    text = api_owner.post(KEYS, {"name": "program"}).json()["secret"]
    pages = [f"{HOME}{name}" for name in ("upstreams/", "upstream-keys/", "routes/", "keys/")]
    pages += [f"{UPSTREAMS}{upstream['id']}/", added["Location"], f"{ROUTES}{route['id']}/", "/api/v1/audit/"]
    told = added.content.decode() + "".join(api_owner.get(page).content.decode() for page in pages)
    assert "second" in told
    for hidden in (SECRET, "sk-second-0815-abc", text.partition(".")[2], "sealed"):
        assert hidden not in told


def test_a_wrong_key_is_not_said_back(api_owner: Any) -> None:
    upstream, _ = make(api_owner)
    wrong = api_owner.post(SECRETS, {"upstream": upstream["id"], "name": "second", "secret": "sk with-spaces"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "secret_invalid")
    assert "with-spaces" not in wrong.content.decode()


WRONG_UPSTREAMS: list[Any] = [
    [],
    "text",
    {},
    {"name": "a", "kind": "openai", "base_url": "http://10.0.0.1/v1"},
    {"name": "a", "kind": "openai", "base_url": "https://me:word@api.example.com"},
    {"name": "a", "kind": "openai", "base_url": ["https://api.example.com"]},
    {"name": "a", "kind": "telepathy"},
    {"name": {"a": 1}, "kind": "openai"},
    {"name": "a\u0000", "kind": "openai"},
    {"name": "a", "kind": "openai", "headers": ["x"]},
    {"name": "a", "kind": "openai", "headers": {"x": {"y": 1}}},
    {"name": "a", "kind": "openai", "headers": {"cookie": "a"}},
    {"name": "a", "kind": "openai", "most_at_once": -1},
    {"name": "a", "kind": "openai", "most_at_once": 10**20},
    {"name": "a", "kind": "openai", "health_interval_s": 1},
]


@pytest.mark.parametrize("given", WRONG_UPSTREAMS, ids=range(len(WRONG_UPSTREAMS)))
def test_a_wrong_upstream_is_refused(given: Any, api_owner: Any, acme: Any) -> None:
    answer = api_owner.post(UPSTREAMS, given)
    assert answer.status_code == 422, answer.content
    with tenancy.scope(acme.pk):
        assert not Upstream.objects.exists()


WRONG_TARGETS: list[Any] = [
    "text",
    {},
    [],
    [[]],
    ["x"],
    [{"model": "m"}],
    [{"upstream": "here", "model": "m"}],
    [{"upstream": 7, "model": "m"}],
    [{"upstream": "HERE", "model": "m", "when": []}],
    [{"upstream": "HERE", "model": "m", "when": {"headers": "x"}}],
    [{"upstream": "HERE", "model": "m", "when": {"headers": {"x": "\u0000"}}}],
    [{"upstream": "HERE", "model": "m", "when": {"headers": {"x": "\ud800"}}}],
    [{"upstream": "HERE", "model": "m", "when": {"headers": {"x": ["y"]}}}],
    [{"upstream": "HERE", "model": "m", "when": {"days": [[1]]}}],
    [{"upstream": "HERE", "model": "m", "when": {"hours": [1, 2]}}],
    [{"upstream": "HERE", "model": "m", "when": {"time_zone": {}}}],
    [{"upstream": "HERE", "model": "m", "on": "timeout"}],
    [{"upstream": "HERE", "model": "m", "on": [{}]}],
    [{"upstream": "HERE", "model": "m", "on": ["luck"]}],
    [{"upstream": "HERE", "model": "m", "weight": 10**30}],
    [{"upstream": "HERE", "model": "m", "id": "x"}],
    [{"upstream": "HERE", "model": "m"}] * 21,
    [{"upstream": "HERE", "model": "m"}] * 5_000,
]


@pytest.mark.parametrize("targets", WRONG_TARGETS, ids=range(len(WRONG_TARGETS)))
def test_wrong_targets_are_refused(targets: Any, api_owner: Any, acme: Any) -> None:
    upstream, _ = make(api_owner)
    body = json.dumps({"name": "other", "targets": targets}).replace("HERE", upstream["id"])
    answer = api_owner.post(ROUTES, data=body, content_type="application/json")
    assert answer.status_code in {400, 409, 422}, answer.content
    with tenancy.scope(acme.pk):
        assert Route.objects.count() == 1


@pytest.mark.parametrize(
    "given",
    [
        {"name": "a", "routes": "all"},
        {"name": "a", "routes": ["x"]},
        {"name": "a", "routes": ["0190a6c0-0000-7000-8000-00000000000a"]},
        {"name": "a", "routes": ["0190a6c0-0000-7000-8000-00000000000a"] * 5_000},
        {"name": "a", "tags": []},
        {"name": "a", "tags": {"a": {}}},
        {"name": "a", "tags": {"a": "\ud800"}},
        {"name": "a", "budget_micro_usd": "much"},
        {"name": "a", "budget_micro_usd": 10**30},
        {"name": "a", "requests_per_minute": -1},
        {"name": "a", "kind": "root"},
        {"name": "a", "allowed_networks": ["everywhere"]},
    ],
)
def test_a_wrong_key_is_refused(given: Any, api_owner: Any, acme: Any) -> None:
    answer = api_owner.post(KEYS, data=json.dumps(given), content_type="application/json")
    assert answer.status_code == 422, answer.content
    with tenancy.scope(acme.pk):
        assert not VirtualKey.objects.exists()


def test_another_organization_sees_and_names_nothing(api_owner: Any, api_outsider: Any, acme: Any) -> None:
    upstream, route = make(api_owner)
    with tenancy.scope(acme.pk):
        secret = UpstreamKey.objects.get()
    for path in (f"{UPSTREAMS}{upstream['id']}/", f"{SECRETS}{secret.pk}/", f"{ROUTES}{route['id']}/"):
        assert api_outsider.get(path).status_code == 404
        assert api_outsider.delete(path).status_code == 404
    target = {"upstream": upstream["id"], "model": "m"}
    assert api_outsider.post(ROUTES, {"name": "stolen", "targets": [target]}).status_code == 422
    assert api_outsider.post(KEYS, {"name": "stolen", "routes": [route["id"]]}).status_code == 422
    given = {"upstream": upstream["id"], "name": "planted", "secret": "sk-planted"}
    assert api_outsider.post(SECRETS, given).status_code == 422
    assert api_outsider.get(UPSTREAMS).json()["results"] == []


def test_a_viewer_reads_and_changes_nothing(api_owner: Any, api_viewer: Any) -> None:
    upstream, route = make(api_owner)
    assert api_viewer.get(f"{UPSTREAMS}{upstream['id']}/").status_code == 200
    for method, path, body in (
        ("post", UPSTREAMS, {"name": "a", "kind": "openai"}),
        ("patch", f"{UPSTREAMS}{upstream['id']}/", {"is_paused": True}),
        ("delete", f"{ROUTES}{route['id']}/", None),
        ("post", SECRETS, {"upstream": upstream["id"], "name": "a", "secret": "sk-a"}),
        ("post", KEYS, {"name": "a"}),
    ):
        assert getattr(api_viewer, method)(path, body).status_code == 403, path


def test_a_change_of_what_somebody_else_changed_is_refused(api_owner: Any) -> None:
    _, route = make(api_owner)
    path = f"{ROUTES}{route['id']}/"
    seen = api_owner.get(path)["ETag"]
    assert api_owner.patch(path, {"attempts": 2}, headers={"If-Match": seen}).status_code == 200
    assert api_owner.patch(path, {"attempts": 4}, headers={"If-Match": seen}).status_code == 412


def test_a_move_by_the_api_takes_the_keys_away(api_owner: Any) -> None:
    upstream, _ = make(api_owner)
    moved = api_owner.patch(f"{UPSTREAMS}{upstream['id']}/", {"base_url": "https://api.elsewhere.example/v1"})
    assert moved.status_code == 200, moved.content
    assert moved.json()["keys"] == []


def test_calls_are_listed_and_filtered_and_one_tells_its_body(api_viewer: Any, in_acme: Any) -> None:
    call = make_call(request_id="req_one")
    make_call(request_id="req_two", route="other", status=500)
    found = api_viewer.get(CALLS, {"route": "small"}).json()["results"]
    assert [one["request_id"] for one in found] == ["req_one"]
    assert api_viewer.get(f"{CALLS}{call.pk}/").json()["body"] is None
    ModelCallBody.objects.create(
        id=call.pk, request="asked", response="said", expires_at=timezone.now() + timedelta(days=1)
    )
    assert api_viewer.get(f"{CALLS}{call.pk}/").json()["body"]["request"] == "asked"
    assert api_viewer.get(CALLS, {"status": "many"}).status_code == 422


def test_the_list_of_routes_takes_as_many_queries_for_three_as_for_one(
    api_owner: Any, acme: Any, actor: Actor, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    upstream, _ = make(api_owner)
    api_owner.get(ROUTES)
    with CaptureQueriesContext(connection) as one:
        api_owner.get(ROUTES)
    with tenancy.scope(acme.pk):
        target = {"upstream": Upstream.objects.get(pk=upstream["id"]), "model": "m"}
        for name in ("second", "third"):
            services.create_route(name=name, targets=[target], by=actor)
    with CaptureQueriesContext(connection) as three:
        assert len(api_owner.get(ROUTES).json()["results"]) == 3
    assert len(one) == len(three)
