"""Policies and lists by the API: what it takes, what it refuses and why, and what it leaves behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.audit.models import AuditEntry
from apps.core import snapshots, tenancy
from apps.ratelimits import services
from apps.ratelimits.models import Entry, Policy

pytestmark = pytest.mark.django_db

POLICIES, ENTRIES = "/api/v1/ratelimits/policies/", "/api/v1/ratelimits/entries/"
EACH_KEY = {"name": "Each key", "subject": ["token"], "limit": 100}


def test_a_policy_needs_little_and_says_what_it_means(api_owner: Any) -> None:
    answer = api_owner.post(POLICIES, EACH_KEY)
    assert answer.status_code == 201
    assert answer["Location"] == f"{POLICIES}{answer.json()['id']}/"
    shown = answer.json()
    assert shown["description"] == "100 requests a minute for each API token"
    assert (shown["algorithm"], shown["away"], shown["planes"]) == ("gcra", "local", ["predictions", "gateway", "api"])
    assert api_owner.get(answer["Location"]).json() == shown
    assert api_owner.get(POLICIES).json()["results"] == [shown]


@pytest.mark.parametrize(
    "given",
    [
        {"quantity": "tokens", "planes": ["predictions", "check"]},
        {"subject": ["model"], "planes": ["predictions", "api"]},
    ],
)
def test_a_policy_that_some_of_its_calls_meet_is_taken(given: Any, api_owner: Any) -> None:
    assert api_owner.post(POLICIES, {**EACH_KEY, **given}).status_code == 201


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"limit": 0}, "limit", "limit_out_of_bounds"),
        ({"limit": 10**12 + 1}, "limit", "limit_out_of_bounds"),
        ({"window_s": 0}, "window_s", "window_out_of_bounds"),
        ({"window_s": 31 * 86_400 + 1}, "window_s", "window_out_of_bounds"),
        ({"burst": 0}, "burst", "limit_out_of_bounds"),
        ({"burst": 10, "algorithm": "window"}, "burst", "burst_unfit"),
        ({"burst": 10, "quantity": "concurrency"}, "burst", "burst_unfit"),
        ({"limit": 10_001, "quantity": "concurrency"}, "limit", "places_out_of_bounds"),
        ({"subject": []}, "subject", "empty"),
        ({"subject": ["header"]}, "header", "header_needed"),
        ({"subject": ["header"], "header": "x customer"}, "header", "header_needed"),
        ({"subject": ["header"], "header": "Authorization"}, "header", "header_secret"),
        ({"subject": ["header"], "header": "X-Api-Key"}, "header", "header_secret"),
        ({"header": "x-customer"}, "header", "header_unfit"),
        ({"planes": []}, "planes", "empty"),
        ({"quantity": "tokens", "planes": ["predictions", "api"]}, "planes", "policy_never_met"),
        ({"quantity": "cost", "planes": ["api"]}, "planes", "policy_never_met"),
        ({"subject": ["model"], "planes": ["api"]}, "planes", "policy_never_met"),
        ({"models": ["churn"], "planes": ["api"]}, "planes", "policy_never_met"),
        ({"routes": ["jobs"]}, "routes", "route_invalid"),
        ({"routes": ["/api/*/jobs/"]}, "routes", "route_invalid"),
        ({"routes": [f"/{number}" for number in range(21)]}, "routes", "too_many_names"),
        ({"subject": ["planet"]}, "subject.0", "invalid_choice"),
    ],
)
def test_a_wrong_policy_is_refused_beside_its_field(given: Any, field: str, code: str, api_owner: Any) -> None:
    answer = api_owner.post(POLICIES, {**EACH_KEY, **given})
    assert answer.status_code == 422, answer.content
    assert field.partition(".")[0] in answer.json()["errors"][0]["field"]
    assert answer.json()["errors"][0]["code"] == code
    assert api_owner.get(POLICIES).json()["results"] == []


def test_the_largest_and_the_least_pass(api_owner: Any) -> None:
    largest = {"limit": 10**12, "window_s": 31 * 86_400, "burst": 10**12, "name": "Largest"}
    least = {"limit": 1, "window_s": 1, "burst": 1, "name": "Least"}
    for given in (largest, least):
        assert api_owner.post(POLICIES, given).status_code == 201


def test_two_policies_do_not_share_a_name(api_owner: Any) -> None:
    api_owner.post(POLICIES, EACH_KEY)
    again = api_owner.post(POLICIES, {**EACH_KEY, "name": "  each  KEY "})
    assert (again.status_code, again.json()["code"]) == (409, "policy_name_taken")


def test_fifty_policies_are_enough(api_owner: Any, in_acme: Any, actor: Any) -> None:
    for number in range(services.MOST_POLICIES):
        services.create_policy(name=f"Policy {number}", limit=1, by=actor)
    answer = api_owner.post(POLICIES, EACH_KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_policies")


def test_a_change_is_checked_as_a_whole(api_owner: Any) -> None:
    policy = api_owner.post(POLICIES, {**EACH_KEY, "burst": 20})["Location"]
    refused = api_owner.patch(policy, {"algorithm": "window"})
    assert (refused.status_code, refused.json()["code"]) == (422, "burst_unfit")
    changed = api_owner.patch(policy, {"algorithm": "window", "burst": None, "limit": 200})
    assert changed.status_code == 200
    assert (changed.json()["limit"], changed.json()["burst"]) == (200, None)


def test_of_two_edits_that_saw_the_same_only_one_is_made(api_owner: Any) -> None:
    created = api_owner.post(POLICIES, EACH_KEY)
    first = api_owner.patch(created["Location"], {"limit": 200}, headers={"If-Match": created["ETag"]})
    second = api_owner.patch(created["Location"], {"limit": 300}, headers={"If-Match": created["ETag"]})
    assert (first.status_code, second.status_code) == (200, 412)
    assert api_owner.get(created["Location"]).json()["limit"] == 200


def test_the_same_post_twice_makes_one_policy(api_owner: Any) -> None:
    headers = {"Idempotency-Key": "one"}
    answers = [api_owner.post(POLICIES, EACH_KEY, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(api_owner.get(POLICIES).json()["results"]) == 1


def test_a_change_leaves_its_line_with_before_and_after(api_owner: Any, acme: Any) -> None:
    policy = api_owner.post(POLICIES, EACH_KEY)["Location"]
    api_owner.patch(policy, {"limit": 200, "subject": ["token", "address"]})
    api_owner.patch(policy, {"limit": 200})
    api_owner.delete(policy)
    with tenancy.scope(acme.pk):
        lines = list(AuditEntry.objects.filter(action__startswith="policy.").order_by("pk"))
    assert [line.action for line in lines] == ["policy.created", "policy.updated", "policy.deleted"]
    assert lines[1].changes["limit"] == ["100", "200"]


def test_who_only_reads_changes_nothing(api_developer: Any, api_viewer: Any, api_owner: Any) -> None:
    policy = api_owner.post(POLICIES, EACH_KEY)["Location"]
    for client in (api_developer, api_viewer):
        assert client.get(policy).status_code == 200
        for answer in (client.post(POLICIES, EACH_KEY), client.patch(policy, {"limit": 1}), client.delete(policy)):
            assert answer.status_code == 403
    assert api_owner.get(policy).json()["limit"] == 100


def test_an_outsider_finds_no_policy_and_may_use_its_name(api_owner: Any, api_outsider: Any) -> None:
    policy = api_owner.post(POLICIES, EACH_KEY)["Location"]
    assert api_outsider.get(policy).status_code == 404
    assert api_outsider.patch(policy, {"limit": 1}).status_code == 404
    assert api_outsider.post(POLICIES, EACH_KEY).status_code == 201


@pytest.mark.parametrize(
    ("subject", "value", "kept"),
    [
        ("address", "203.0.113.7", "203.0.113.7/32"),
        ("address", "203.0.113.9/24", "203.0.113.0/24"),
        ("address", "::ffff:203.0.113.7", "203.0.113.7/32"),
        ("address", "2001:db8::1/32", "2001:db8::/32"),
        ("user", "01977F2C-5D4E-7A31-8B7E-0C1D2E3F4A5B", "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5b"),
        ("model", " leaving ", "leaving"),
        ("route", " /api/v1/jobs/{id}/", "/api/v1/jobs/{id}/"),
    ],
)
def test_a_listed_value_is_kept_as_calls_are_compared_with_it(
    subject: str, value: str, kept: str, api_owner: Any
) -> None:
    answer = api_owner.post(ENTRIES, {"kind": "deny", "subject": subject, "value": value})
    assert answer.status_code == 201, answer.content
    assert answer.json()["value"] == kept


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"subject": "address", "value": "nowhere"}, "entry_value_invalid"),
        ({"subject": "address", "value": "fe80::1%eth0"}, "entry_value_invalid"),
        ({"subject": "token", "value": "my token"}, "entry_value_invalid"),
        ({"subject": "route", "value": "POST /api/v1/jobs/"}, "entry_value_invalid"),
        ({"subject": "route", "value": "/api/v1/*"}, "entry_value_invalid"),
        ({"subject": "header", "value": "gold"}, "header_needed"),
        ({"subject": "model", "value": "x", "header": "x-customer"}, "header_unfit"),
        ({"subject": "organization", "value": "x"}, "invalid_choice"),
        ({"subject": "model", "value": "x", "ends_at": "2001-01-01T00:00:00Z"}, "entry_ended"),
    ],
)
def test_a_wrong_entry_is_refused(given: Any, code: str, api_owner: Any) -> None:
    answer = api_owner.post(ENTRIES, {"kind": "deny", **given})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


def test_a_value_stands_on_one_list_once(api_owner: Any) -> None:
    denied = {"kind": "deny", "subject": "address", "value": "203.0.113.0/24"}
    entry = api_owner.post(ENTRIES, denied)["Location"]
    again = api_owner.post(ENTRIES, {**denied, "kind": "allow"})
    assert (again.status_code, again.json()["code"]) == (409, "entry_exists")
    moved = api_owner.patch(entry, {"kind": "allow", "reason": "Our own office"})
    assert (moved.status_code, moved.json()["kind"]) == (200, "allow")
    assert api_owner.delete(entry).status_code == 204
    assert api_owner.post(ENTRIES, denied).status_code == 201


def test_every_change_is_published(api_owner: Any, acme: Any, django_capture_on_commit_callbacks: Any) -> None:
    def published() -> dict[str, Any]:
        stored: Any = snapshots._client().get(snapshots.KEY.format(organization_id=acme.pk))
        section: dict[str, Any] = json.loads(stored)["sections"]["limits"]
        return section

    with django_capture_on_commit_callbacks(execute=True):
        policy = api_owner.post(POLICIES, EACH_KEY)["Location"]
        entry = api_owner.post(ENTRIES, {"kind": "deny", "subject": "model", "value": "x"})["Location"]
    own = [one for one in published()["policies"] if not one.get("is_of_plan")]
    assert [(one["name"], one["limit"], one["burst"], one["window_ms"]) for one in own] == [
        ("Each key", 100, 100, 60_000)
    ]
    assert [one["value"] for one in published()["deny"]] == ["x"]
    with django_capture_on_commit_callbacks(execute=True):
        api_owner.patch(policy, {"limit": 200})
        api_owner.patch(entry, {"kind": "allow"})
    assert [one["limit"] for one in published()["policies"] if one["name"] == "Each key"] == [200]
    assert (published()["deny"], [one["value"] for one in published()["allow"]]) == ([], ["x"])
    with django_capture_on_commit_callbacks(execute=True):
        api_owner.delete(policy)
        api_owner.delete(entry)
    assert [one["name"] for one in published()["policies"]] == [
        "Plan: predictions",
        "Plan: predictions at once",
        "Plan: model calls",
        "Plan: API calls",
    ]
    with tenancy.scope(acme.pk):
        assert (Policy.objects.count(), Entry.objects.count()) == (0, 0)


def test_what_was_seen_is_read(api_owner: Any) -> None:
    api_owner.post(POLICIES, EACH_KEY)
    answer = api_owner.get("/api/v1/ratelimits/")
    assert answer.status_code == 200
    assert answer.json()["policies"][0]["name"] == "Each key"
    assert answer.json()["policies"][1]["description"] == "600,000 requests a minute for the whole organization"
    history = api_owner.get("/api/v1/ratelimits/history/", {"policy": "plan-api", "range": "24h"})
    assert (history.status_code, len(history.json()["steps"])) == (200, 48)
    assert api_owner.get("/api/v1/ratelimits/history/", {"policy": "plan-moon"}).status_code == 404


def test_who_leaves_a_choice_out_is_told_what_there_is(api_owner: Any) -> None:
    missing = api_owner.post(ENTRIES, {"subject": "address", "value": "203.0.113.9"}).json()["errors"]
    assert missing == [{"field": "kind", "code": "required", "detail": "Name one of: allow, deny."}]
    wrong = api_owner.post(POLICIES, {**EACH_KEY, "planes": ["apis"]}).json()["errors"]
    assert [one["detail"] for one in wrong] == ["“apis” is none of: predictions, gateway, api, check."]


def test_the_trail_tells_the_mode_as_pages_do(api_owner: Any, acme: Any) -> None:
    policy = api_owner.post(POLICIES, EACH_KEY)["Location"]
    api_owner.patch(policy, {"is_shadow": True})
    with tenancy.scope(acme.pk):
        changed, made = AuditEntry.objects.filter(action__startswith="policy.").order_by("-id")
    assert (made.changes["mode"], changed.changes) == ("enforced", {"mode": ["enforced", "shadow"]})
