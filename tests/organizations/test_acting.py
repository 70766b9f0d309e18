"""An operator who looks at an organization as one of its people: under both names, read-only, and not for long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations.models import ActingSession, Membership
from apps.organizations.permissions import TABLE
from tests.architecture.doors import PAGES, address, undone
from tests.factories import world

pytestmark = pytest.mark.django_db(databases=["default", "console"], transaction=True)

MEMBERSHIPS = "/admin/organizations/membership/"
WHY = "they cannot find their upload"


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@modelyard.test", "a-password")


@pytest.fixture
def console(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def look(console: Client, organization: Any, user: Any, reason: str = WHY) -> Any:
    with tenancy.scope(organization.pk):
        membership = Membership.objects.get(user=user)
    form = {"action": "act_as", "_selected_action": [str(membership.pk)], "reason": reason}
    return console.post(MEMBERSHIPS, form)


def test_an_operator_looks_as_a_member_and_both_names_stand_in_the_trail(
    console: Client, acme: Any, viewer: Any
) -> None:
    assert console.get("/o/acme/").status_code == 404
    assert look(console, acme, viewer)["Location"] == "/o/acme/"
    page = console.get("/o/acme/").content.decode()
    assert "Operator operator@modelyard.test as" in page
    assert WHY in page
    assert console.post("/acting/end/").status_code == 302
    assert console.get("/o/acme/").status_code == 404
    with tenancy.scope(acme.pk):
        told = AuditEntry.objects.filter(action__startswith="acting.").order_by("id")
        assert [(entry.action, entry.actor_label, entry.operator_label) for entry in told] == [
            ("acting.started", viewer.email, "operator operator@modelyard.test"),
            ("acting.ended", viewer.email, "operator operator@modelyard.test"),
        ]


def test_a_reason_is_asked_for(console: Client, acme: Any, viewer: Any) -> None:
    assert "Reason" in look(console, acme, viewer, reason=" ").content.decode()
    assert console.get("/o/acme/").status_code == 404


def test_whoever_looks_sees_what_the_role_may_read_and_changes_nothing_on_any_page(
    console: Client, acme: Any, viewer: Any, actor: Actor
) -> None:
    rows = world.build(acme, actor)
    look(console, acme, viewer)
    for route, pattern in PAGES:
        target = address(route, "acme", rows)
        answer = console.get(target)
        may_read = "analyst" in TABLE[pattern.callback.permission] and pattern.callback.permission.endswith(".read")
        assert (answer.status_code == 403) == (not may_read and answer.status_code != 405), route
        with undone():
            refused = console.post(target)
        assert refused.status_code == 403, route
        assert "change nothing here" in refused.content.decode(), route


def test_the_api_knows_nothing_of_it(console: Client, acme: Any, viewer: Any) -> None:
    look(console, acme, viewer)
    assert console.get("/api/v1/me/", headers={"Modelyard-Organization": "acme"}).status_code == 404


@pytest.mark.parametrize("over", ["time", "removal"])
def test_it_ends_by_itself(over: str, console: Client, acme: Any, viewer: Any) -> None:
    look(console, acme, viewer)
    with tenancy.scope(acme.pk):
        if over == "time":
            ActingSession.objects.update(ends_at=timezone.now() - timedelta(seconds=1))
        else:
            Membership.objects.get(user=viewer).delete()
    answer = console.get("/o/acme/")
    assert answer.status_code == 403
    assert "is over" in answer.content.decode()


def test_it_ends_with_the_right_to_operate(console: Client, operator: User, acme: Any, viewer: Any) -> None:
    look(console, acme, viewer)
    User.objects.filter(pk=operator.pk).update(is_staff=False)
    assert console.get("/o/acme/").status_code == 404


def test_another_organization_stays_closed(console: Client, acme: Any, globex: Any, viewer: Any) -> None:
    look(console, acme, viewer)
    assert console.get("/o/globex/").status_code == 404


def test_who_is_no_operator_starts_and_ends_nothing(as_owner: Client, acme: Any, viewer: Any) -> None:
    look(as_owner, acme, viewer)
    with tenancy.scope(acme.pk):
        assert not ActingSession.objects.exists()
    assert as_owner.post("/acting/end/").status_code == 404
