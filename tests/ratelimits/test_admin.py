"""The console's side of limits: every organization's policies, pausing one, and overriding a plan's limit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.ratelimits import matching, services, snapshot
from apps.ratelimits.admin import most_limited
from apps.ratelimits.models import PlanLimitOverride, Policy
from tests.ratelimits.test_pages import saw

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

POLICIES = "/admin/ratelimits/policy/"
OVERRIDES = "/admin/ratelimits/planlimitoverride/"
ORGANIZATIONS = "/admin/organizations/organization/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


@pytest.fixture
def policy(acme: Any, actor: Actor) -> Policy:
    with tenancy.scope(acme.pk):
        return services.create_policy(name="Each key", subject=["token"], limit=100, by=actor)


def act(console: Client, path: str, action: str, row: Any, **given: Any) -> Any:
    return console.post(path, {"action": action, "_selected_action": [str(row.pk)], **given}, follow=True)


def names(organization: Any) -> list[str]:
    with tenancy.scope(organization.pk):
        return [one["name"] for one in snapshot.compile_section()["policies"]]


def lines(organization: Any) -> list[tuple[str, str]]:
    with tenancy.scope(organization.pk):
        found = AuditEntry.objects.filter(actor_kind="operator").order_by("pk")
        return list(found.values_list("action", "actor_label"))


def test_a_policy_is_paused_with_a_reason_that_its_people_read(
    console: Client, acme: Any, policy: Policy, as_owner: Client
) -> None:
    asked = act(console, POLICIES, "pause", policy)
    assert "Pause these policies?" in asked.content.decode()
    assert "Each key" in names(acme)
    act(console, POLICIES, "pause", policy, reason="It refused the whole office")
    assert "Each key" not in names(acme)
    assert b"It refused the whole office" in as_owner.get(f"/o/acme/limits/{policy.pk}/").content
    act(console, POLICIES, "resume", policy)
    assert "Each key" in names(acme)
    operator = "operator operator@modelyard.test"
    assert lines(acme) == [("policy.paused", operator), ("policy.resumed", operator)]


def test_the_list_says_who_is_limited_most_in_any_organization(
    console: Client, acme: Any, globex: Any, policy: Policy, outsider: Any
) -> None:
    assert b"Nobody is limited now" in console.get(POLICIES).content
    saw(acme.pk, policy, "token-of-acme", -1)
    with tenancy.scope(globex.pk):
        other = services.create_policy(name="Office", limit=5, by=Actor("user", outsider.pk, "o", frozenset()))
    for _ in range(3):
        saw(globex.pk, other, "all-of-globex", -1)
    page = console.get(POLICIES).content.decode()
    assert page.index("all-of-globex, refused 3 times") < page.index("token-of-acme, refused 1 time<")


def test_the_list_reads_no_organization_in_which_nobody_is_limited(
    console: Client, acme: Any, globex: Any, policy: Policy
) -> None:
    saw(acme.pk, policy, "token-of-acme", -1)
    with CaptureQueriesContext(connections["console"]) as made:
        found = most_limited()
    assert found is not None
    assert [organization.slug for organization, _, _ in found] == ["acme"]
    (organizations,) = (one["sql"] for one in made if 'FROM "organizations_organization"' in one["sql"])
    assert acme.pk.hex in organizations
    assert globex.pk.hex not in organizations


def test_each_list_of_overrides_says_of_what(console: Client, acme: Any) -> None:
    page = console.get("/admin/").content.decode().casefold()
    assert ">overridden rate limits<" in page
    assert ">overridden amounts<" in page
    assert ">overrides<" not in page


def test_a_plans_limit_is_overridden_until_a_day(console: Client, acme: Any, globex: Any) -> None:
    tomorrow = timezone.now().date() + timedelta(days=1)
    given = {"plan_limit": "plan-api", "limit": "7", "last_day": tomorrow.isoformat(), "reason": "They asked"}
    assert b"until a day?" in act(console, ORGANIZATIONS, "override_limit", acme).content
    assert (
        b"Enter a valid date"
        in act(console, ORGANIZATIONS, "override_limit", acme, **{**given, "last_day": "x"}).content
    )
    act(console, ORGANIZATIONS, "override_limit", acme, **given)
    now = timezone.now().timestamp()
    after = now + timedelta(days=3).total_seconds()
    for organization, today in ((acme, 7), (globex, 60_000)):
        with tenancy.scope(organization.pk):
            section = snapshot.compile_section()
        asked = matching.Asked(str(organization.pk), "api")
        assert [rule.limit for rule in matching.rules_for(section, asked, now).rules] == [today]
        assert [rule.limit for rule in matching.rules_for(section, asked, after).rules] == [60_000]
    with tenancy.scope(acme.pk):
        override = PlanLimitOverride.objects.get()
    act(console, OVERRIDES, "end", override)
    with tenancy.scope(acme.pk):
        assert not PlanLimitOverride.objects.exists()
    assert [action for action, _ in lines(acme)] == ["plan_limit.overridden", "plan_limit.override_ended"]


def test_a_day_that_is_over_is_refused(console: Client, acme: Any) -> None:
    given = {"plan_limit": "plan-api", "limit": "7", "last_day": "2001-01-01", "reason": "They asked"}
    assert b"Choose a day from today on" in act(console, ORGANIZATIONS, "override_limit", acme, **given).content
    with tenancy.scope(acme.pk):
        assert not PlanLimitOverride.objects.exists()


def test_only_an_operator_pauses_or_overrides(in_acme: Any, actor: Actor, policy: Policy) -> None:
    from apps.core.operators import OperatorNeeded

    with pytest.raises(OperatorNeeded):
        services.pause_policy(policy, "because", by=actor)
    with pytest.raises(OperatorNeeded):
        services.override_plan_limit("plan-api", 7, timezone.now().date(), "because", by=actor)
