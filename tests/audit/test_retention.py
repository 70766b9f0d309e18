"""How long the trail is kept is the owner's choice, and nothing goes that nobody was asked about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.audit import errors, queries, services
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services as organizations
from apps.organizations.errors import UnknownPlan
from tests.audit.test_append_only import told_long_ago
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console", "owner"])

PAGE = "/o/acme/trail/retention/"
API = "/api/v1/audit/retention/"


@pytest.fixture
def aged(acme: Any, actor: Actor) -> Callable[[int], AuditEntry]:
    def entry_of(days: int) -> AuditEntry:
        with tenancy.scope(acme.pk):
            entry = services.record(actor, "project.seen", acme)
        told_long_ago(entry, days)
        return entry

    return entry_of


def kept(acme: Any) -> int:
    acme.refresh_from_db()
    return queries.retention_of(acme).days


def test_longer_is_saved_at_once_and_told(aged: Any, acme: Any, as_owner: Client) -> None:
    aged(100)
    assert as_owner.post(PAGE, {"days": 730}).status_code == 303
    assert kept(acme) == 730
    assert "2 years" in as_owner.get(PAGE).content.decode()
    with tenancy.scope(acme.pk):
        entry = AuditEntry.objects.get(action="audit.retention_changed")
    assert entry.changes == {"audit_retention_days": ["365", "730"]}
    assert (entry.actor_label, entry.subject_id) == ("owner@acme.test", acme.pk)


def test_shorter_says_how_many_go_and_asks_first(aged: Any, acme: Any, as_owner: Client) -> None:
    old = [aged(100) for _ in range(3)]
    asked = as_owner.post(PAGE, {"days": 90})
    assert asked.status_code == 422
    assert "3 entries are older than 90 days" in asked.content.decode()
    assert '<input type="hidden" name="confirmed" value="90">' in asked.content.decode()
    assert as_owner.post(PAGE, {"days": 80, "confirmed": 90}).status_code == 422
    assert kept(acme) == 365
    assert as_owner.post(PAGE, {"days": 90, "confirmed": 90}).status_code == 303
    with tenancy.scope(acme.pk):
        assert AuditEntry.objects.filter(pk__in=[entry.pk for entry in old]).count() == 3
        assert services.expire_trail() == 3


def test_shorter_asks_nothing_where_nothing_goes(acme: Any, as_owner: Client) -> None:
    assert as_owner.post(PAGE, {"days": 30}).status_code == 303
    assert kept(acme) == 30


@pytest.mark.parametrize("days", ["", "29", "2558", "-1", "many", "1e3"])
def test_what_is_no_such_time_is_refused_beside_its_field(days: str, acme: Any, as_owner: Client) -> None:
    page = as_owner.post(PAGE, {"days": days})
    assert page.status_code == 422
    assert 'id="id_days_error"' in page.content.decode()
    assert kept(acme) == 365


def test_the_api_reads_and_changes_it_under_the_same_rule(aged: Any, acme: Any, api_owner: Any) -> None:
    aged(100)
    shown = {"id": str(acme.pk), "days": 365, "shortest_days": 30, "longest_days": 2557}
    assert api_owner.get(API).json() == shown
    refused = api_owner.patch(API, {"days": 90})
    assert (refused.status_code, refused.json()["code"]) == (409, errors.RetentionRemoves.code)
    assert api_owner.patch(API, {"days": 3000}).status_code == 422
    assert api_owner.patch(API, {"days": 90, "confirmed": True}).json() == {**shown, "days": 90}
    assert kept(acme) == 90


def test_s2_only_an_owner_changes_it(acme: Any, viewer: Any, in_acme: Any) -> None:
    viewer.memberships.update(role="admin")
    admin = Client()
    admin.force_login(viewer)
    assert "Only an owner changes it" in admin.get(PAGE).content.decode()
    assert admin.post(PAGE, {"days": 730}).status_code == 403
    assert kept(acme) == 365


def set_plan(acme: Any, plan: str, owner: Any) -> None:
    with tenancy.scope(acme.pk):
        organizations.set_plan(acme, plan, by=Actor("operator", owner.pk, "operator", user_id=owner.pk))


def test_a_plan_says_how_long_it_may_be(acme: Any, owner: Any, as_owner: Client, api_owner: Any) -> None:
    set_plan(acme, "team", owner)
    assert kept(acme) == 365
    assert "The plan Team keeps up to 730 days." in as_owner.get(PAGE).content.decode()
    assert as_owner.post(PAGE, {"days": 731}).status_code == 422
    assert as_owner.post(PAGE, {"days": 730}).status_code == 303
    assert api_owner.get(API).json()["longest_days"] == 730
    assert api_owner.get("/api/v1/organization/").json()["plan"] == "team"


def test_a_smaller_plan_shortens_it_and_says_so_to_the_owners(
    aged: Any, acme: Any, owner: Any, mailoutbox: list[Any]
) -> None:
    old = aged(100)
    set_plan(acme, "starter", owner)
    assert kept(acme) == 90
    assert [(mail.to, "90 days" in mail.body) for mail in mailoutbox] == [([owner.email], True)]
    with tenancy.scope(acme.pk):
        changes = AuditEntry.objects.get(action="organization.plan_changed").changes
        assert changes == {"plan": ["business", "starter"], "audit_retention_days": ["365", "90"]}
        assert services.expire_trail() == 1
        assert not AuditEntry.objects.filter(pk=old.pk).exists()
    set_plan(acme, "business", owner)
    assert (kept(acme), len(mailoutbox)) == (90, 1)


def test_there_is_no_other_plan(acme: Any, owner: Any) -> None:
    with pytest.raises(UnknownPlan):
        set_plan(acme, "gold", owner)


def test_the_operator_sets_plans_and_nobody_else(acme: Any, client: Client, api_owner: Any, owner: Any) -> None:
    api_owner.patch("/api/v1/organization/", {"plan": "starter"}, headers={"If-Match": "*"})
    acme.refresh_from_db()
    assert acme.plan == "business"
    client.force_login(UserFactory(email="operator@modelyard.test", is_staff=True, is_superuser=True))
    act = {"action": "set_plan", "_selected_action": [str(acme.pk)]}
    assert "trail for up to 730 days" in client.post("/admin/organizations/organization/", act).content.decode()
    client.post("/admin/organizations/organization/", {**act, "plan": "team"})
    refused = client.post("/admin/organizations/organization/", {**act, "plan": "gold"}, follow=True)
    assert "There is no plan “gold”." in refused.content.decode()
    acme.refresh_from_db()
    assert acme.plan == "team"
