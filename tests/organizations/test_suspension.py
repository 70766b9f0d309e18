"""A suspended organization: every door is closed and says why, and opens again with nothing lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import snapshots, tenancy
from apps.core.actors import Actor
from apps.core.edge import Answer, Call, Snapshot
from apps.organizations import edge, errors, services
from apps.organizations.models import Organization
from apps.organizations.snapshot import compile_organization
from tests.accounts.signing import program, signed_in
from tests.architecture.doors import PAGES, address
from tests.factories import world

pytestmark = pytest.mark.django_db

WHY = "the invoice of May is open"


@pytest.fixture
def operator(acme: Any) -> Actor:
    return Actor("operator", None, "operator")


def suspend(organization: Any, by: Actor) -> None:
    with tenancy.scope(organization.pk):
        services.suspend_organization(organization, WHY, by=by)


def resume(organization: Any, by: Actor) -> None:
    with tenancy.scope(organization.pk):
        services.resume_organization(organization, by=by)


def test_every_page_is_closed_and_says_why(acme: Any, as_owner: Client, actor: Actor, operator: Actor) -> None:
    rows = world.build(acme, actor)
    suspend(acme, operator)
    for route, _ in PAGES:
        answer = as_owner.get(address(route, "acme", rows))
        assert answer.status_code == 403, route
        assert WHY in answer.content.decode(), route
    resume(acme, operator)
    assert as_owner.get("/o/acme/").status_code == 200


def test_the_api_is_closed_to_tokens_sessions_and_programs(
    acme: Any, owner: Any, as_owner: Client, api_owner: Any, operator: Actor
) -> None:
    callers = [api_owner, as_owner, program(signed_in(owner)["access"])]
    suspend(acme, operator)
    for caller in callers:
        answer = caller.get("/api/v1/me/")
        assert (answer.status_code, answer.json()["code"]) == (403, "organization_suspended")
    resume(acme, operator)
    assert [caller.get("/api/v1/me/").status_code for caller in callers] == [200, 200, 200]


def test_others_are_not_touched(acme: Any, api_outsider: Any, operator: Actor) -> None:
    suspend(acme, operator)
    assert api_outsider.get("/api/v1/me/").status_code == 200


def call_in(section: dict[str, str]) -> Call:
    async def no_body() -> bytes:
        return b""

    call = Call("GET", "/v2/models/m", b"", {}, "127.0.0.1", "req", no_body)
    call.snapshot = Snapshot("org", 1, {"organization": section})
    return call


async def served(call: Call) -> Answer:
    return Answer(200, [], b"")


async def test_the_data_plane_refuses_with_the_reason_and_serves_the_others() -> None:
    with pytest.raises(errors.OrganizationSuspended, match=WHY):
        await edge.while_active(call_in({"suspended_because": WHY}), served)
    assert (await edge.while_active(call_in({}), served)).status == 200


def test_the_data_plane_is_told_on_commit(
    acme: Any, operator: Actor, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[dict[str, str]] = []

    def publish(organization_id: Any) -> None:
        with tenancy.scope(organization_id):
            published.append(compile_organization())

    monkeypatch.setattr(snapshots, "publish", publish)
    for change in (suspend, resume):
        with django_capture_on_commit_callbacks(execute=True):
            change(acme, operator)
    assert published == [{"suspended_because": WHY}, {}]


def test_suspending_twice_is_one_line_in_the_trail(in_acme: Any, operator: Actor) -> None:
    for _ in range(2):
        services.suspend_organization(in_acme, WHY, by=operator)
    services.resume_organization(in_acme, by=operator)
    told = AuditEntry.objects.filter(action__in=["organization.suspended", "organization.resumed"]).order_by("id")
    assert [(entry.action, entry.changes) for entry in told] == [
        ("organization.suspended", {"because": WHY}),
        ("organization.resumed", {}),
    ]


@pytest.mark.django_db(databases=["default", "console"], transaction=True)
def test_the_operator_suspends_with_a_reason_and_resumes(acme: Any, client: Client) -> None:
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    act = {"action": "suspend", "_selected_action": [str(acme.pk)]}
    asked = client.post("/admin/organizations/organization/", act)
    assert "Reason" in asked.content.decode()
    assert not Organization.objects.get(pk=acme.pk).is_suspended
    client.post("/admin/organizations/organization/", {**act, "reason": WHY})
    assert Organization.objects.get(pk=acme.pk).suspended_because == WHY
    client.post("/admin/organizations/organization/", {**act, "action": "resume"})
    assert not Organization.objects.get(pk=acme.pk).is_suspended


@pytest.mark.django_db(transaction=True)
def test_its_owners_are_mailed_why_and_that_it_is_over(acme: Any, operator: Actor, mailoutbox: list[Any]) -> None:
    suspend(acme, operator)
    resume(acme, operator)
    assert [(mail.to, mail.subject) for mail in mailoutbox] == [
        (["owner@acme.test"], "[Modelyard] Acme is suspended"),
        (["owner@acme.test"], "[Modelyard] Acme is open again"),
    ]
    assert WHY in mailoutbox[0].body
