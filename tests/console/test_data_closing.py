"""Deleting an organization closes it at once; for 30 days its owners can open it again with nothing lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.console.data_rights import deletion
from apps.console.data_rights.models import StoppedDeployment
from apps.core import snapshots, tenancy
from apps.core.actors import Actor
from apps.core.edge import Answer, Call, Snapshot
from apps.deployments.models import Deployment
from apps.jobs.models import Job
from apps.organizations import edge, errors, queries, services
from apps.organizations.models import DELETION_HOLD, Membership, Organization
from apps.organizations.snapshot import compile_organization
from tests.accounts.signing import program, signed_in
from tests.architecture.doors import OPERATIONS, PAGES, address, operation_path
from tests.conftest import actor_of, api_client
from tests.factories import world
from tests.factories.people import PASSWORD
from tests.factories.serving import make_model_version
from tests.working import take

pytestmark = pytest.mark.django_db

PAGE = "/o/acme/settings/data/delete/"
API = "/api/v1/organization/deletion/"


def close(organization: Any, by: Actor) -> Organization:
    with tenancy.scope(organization.pk):
        return deletion.close_organization(organization, organization.name, by=by)


def reopen(organization: Any, by: Actor) -> list[str]:
    with tenancy.scope(organization.pk):
        return deletion.reopen_organization(organization, by=by)


def move_request_back(organization: Any, days: int) -> None:
    """As if the deletion had been asked for so many days earlier."""
    rows = Organization.objects.filter(pk=organization.pk)
    rows.update(deletion_requested_at=F("deletion_requested_at") - timedelta(days=days))


def proven(browser: Client) -> Client:
    cache.clear()
    browser.post(f"/accounts/reauthenticate/?next={PAGE}", {"password": PASSWORD})
    return browser


def test_it_asks_for_the_password_and_the_name(acme: Any, as_owner: Client) -> None:
    assert as_owner.get(PAGE)["Location"].startswith("/accounts/reauthenticate/")
    assert as_owner.post(PAGE, {"confirmation": "Acme"})["Location"].startswith("/accounts/reauthenticate/")
    assert not Organization.objects.get(pk=acme.pk).is_closed
    browser = proven(as_owner)
    assert "Type Acme to confirm" in browser.get(PAGE).content.decode()
    mistyped = browser.post(PAGE, {"confirmation": "acme"})
    assert mistyped.status_code == 422
    assert not Organization.objects.get(pk=acme.pk).is_closed
    assert browser.post(PAGE, {"confirmation": "Acme"})["Location"] == "/o/acme/"
    assert Organization.objects.get(pk=acme.pk).is_closed


def test_s2_only_an_owner_sees_the_way_to_it(acme: Any, as_owner: Client, developer: Any) -> None:
    with tenancy.scope(acme.pk):
        Membership.objects.filter(user=developer).update(role="admin")
    admin = Client()
    admin.force_login(developer)
    page = "/o/acme/settings/data/"
    assert "Delete this organization" in as_owner.get(page).content.decode()
    assert "Delete this organization" not in admin.get(page).content.decode()
    assert admin.get(PAGE).status_code == 403
    assert api_client(acme, actor_of(developer, "admin")).post(API, {"confirmation": "Acme"}).status_code == 403


def test_every_page_is_closed_and_leads_owners_back(
    acme: Any, actor: Actor, as_owner: Client, as_developer: Client
) -> None:
    rows = world.build(acme, actor)
    close(acme, actor)
    for route, _ in PAGES:
        answer = as_owner.get(address(route, "acme", rows))
        assert answer.status_code == 403, route
        assert "organizations/acme/reopen/" in answer.content.decode(), route
    told = as_developer.get("/o/acme/").content.decode()
    assert "This organization is closed" in told
    assert "reopen/" not in told


def test_every_operation_is_closed_to_tokens_sessions_and_programs_but_the_way_back(
    acme: Any, actor: Actor, owner: Any, as_owner: Client, api_owner: Any
) -> None:
    rows = world.build(acme, actor)
    callers = [api_owner, as_owner, program(signed_in(owner)["access"])]
    close(acme, actor)
    for caller in callers:
        answer = caller.get("/api/v1/me/")
        assert (answer.status_code, answer.json()["code"]) == (403, "organization_closed")
    for path, method, _ in OPERATIONS:
        if (method, path) != ("delete", API):
            answer = getattr(api_owner, method)(operation_path(path, rows))
            assert (answer.status_code, answer.json()["code"]) == (403, "organization_closed"), (method, path)


@pytest.mark.parametrize("kind", ["token", "session", "program"])
def test_an_owner_reaches_the_way_back_by_every_credential(
    kind: str, acme: Any, actor: Actor, owner: Any, as_owner: Client, api_owner: Any
) -> None:
    caller = {"token": api_owner, "session": as_owner, "program": program(signed_in(owner)["access"])}[kind]
    close(acme, actor)
    assert caller.delete(API).status_code == 204
    assert caller.get("/api/v1/me/").status_code == 200


def test_s2_nobody_but_an_owner_takes_it_back(
    acme: Any, actor: Actor, as_developer: Client, as_outsider: Client, api_developer: Any, api_outsider: Any
) -> None:
    close(acme, actor)
    assert as_developer.post("/organizations/acme/reopen/").status_code == 403
    assert as_outsider.post("/organizations/acme/reopen/").status_code == 404
    assert api_developer.delete(API).json()["code"] == "permission_missing"
    assert api_outsider.delete(API).status_code == 204  # of their own organization, which is open
    assert Organization.objects.get(pk=acme.pk).is_closed


def test_a_session_that_did_not_prove_itself_closes_nothing_by_the_api_either(acme: Any, as_owner: Client) -> None:
    body = {"confirmation": "Acme"}
    refused = as_owner.post(API, body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "proof_needed")
    closed = proven(as_owner).post(API, body, content_type="application/json")
    assert closed.status_code == 202
    assert closed.json()["deletion_requested_at"] < closed.json()["erased_after"]


def test_the_api_asks_for_the_name(acme: Any, api_owner: Any) -> None:
    refused = api_owner.post(API, {"confirmation": "Globex"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "confirmation")
    assert api_owner.post(API, {"confirmation": "Acme"}).status_code == 202


def test_every_owner_is_mailed_at_the_request_and_when_it_is_taken_back(
    acme: Any, owner: Any, developer: Any, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    with tenancy.scope(acme.pk):
        Membership.objects.filter(user=developer).update(role="owner")
    for change, subject in ((close, "Acme is closed and will be deleted"), (reopen, "Acme is open again")):
        mail.outbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            change(acme, actor)
            change(acme, actor)
        assert sorted(message.to[0] for message in mail.outbox) == [developer.email, owner.email]
        assert all(subject in message.subject and "/o/acme/" in message.body for message in mail.outbox)


def test_the_trail_has_one_line_for_each(acme: Any, actor: Actor) -> None:
    for change in (close, close, reopen, reopen):
        change(acme, actor)
    with tenancy.scope(acme.pk):
        told = AuditEntry.objects.filter(action__startswith="organization.deletion_").order_by("id")
        assert [entry.action for entry in told] == [
            "organization.deletion_requested",
            "organization.deletion_cancelled",
        ]


def test_deployments_stop_and_those_that_ran_start_again(acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        version = make_model_version()
        for name, is_stopped in (("running", False), ("resting", True)):
            Deployment.objects.create(
                name=name, model_version=version, serving_version=version, is_stopped=is_stopped, status="ready"
            )
    close(acme, actor)
    with tenancy.scope(acme.pk):
        assert not Deployment.objects.filter(is_stopped=False).exists()
        assert StoppedDeployment.objects.get().deployment.name == "running"
    assert reopen(acme, actor) == []
    with tenancy.scope(acme.pk):
        assert Deployment.objects.get(is_stopped=False).name == "running"
        assert not StoppedDeployment.objects.exists()


def test_what_cannot_start_again_is_named(acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    with tenancy.scope(acme.pk):
        version = make_model_version()
        Deployment.objects.create(name="big", model_version=version, serving_version=version, status="ready")
    close(acme, actor)
    monkeypatch.setattr("apps.deployments.services.MAX_REPLICAS_TOGETHER", 0)
    browser = Client()
    browser.force_login(User.objects.get(email="owner@acme.test"))
    answer = browser.post("/organizations/acme/reopen/", follow=True)
    assert "start them by hand: big" in answer.content.decode()
    assert not Organization.objects.get(pk=acme.pk).is_closed


def test_no_job_starts_meanwhile_and_what_waited_goes_on(acme: Any, globex: Any, actor: Actor) -> None:
    for organization in (acme, globex):
        with tenancy.scope(organization.pk):
            Job.objects.create(kind="k", queue="data", label="waits", ready_at=Now())
    close(acme, actor)
    claims = [take("data"), take("data")]
    assert [claim and claim.organization_id for claim in claims] == [globex.pk, None]
    with connection.cursor() as cursor:
        cursor.execute("SELECT job_state FROM console_queued_jobs()")
        assert cursor.fetchall() == [("running",)]  # the other organization's
    reopen(acme, actor)
    claim = take("data")
    assert claim is not None
    assert claim.organization_id == acme.pk


async def served(call: Call) -> Answer:
    return Answer(200, [], b"")


async def test_the_data_plane_refuses_and_says_until_when() -> None:
    async def no_body() -> bytes:
        return b""

    call = Call("GET", "/v2/models/m", b"", {}, "127.0.0.1", "req", no_body)
    call.snapshot = Snapshot("org", 1, {"organization": {"closed_until": "2027-01-05"}})
    with pytest.raises(errors.OrganizationClosed, match="after 2027-01-05"):
        await edge.while_active(call, served)


def test_the_data_plane_is_told_on_commit(
    acme: Any, actor: Actor, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[dict[str, str]] = []

    def publish(organization_id: Any) -> None:
        with tenancy.scope(organization_id):
            published.append(compile_organization())

    monkeypatch.setattr(snapshots, "publish", publish)
    for change in (close, reopen):
        with django_capture_on_commit_callbacks(execute=True):
            change(acme, actor)
    assert [sorted(section) for section in published] == [["closed_until"], []]


def test_after_30_days_nobody_opens_it_again(acme: Any, actor: Actor, as_owner: Client) -> None:
    close(acme, actor)
    move_request_back(acme, DELETION_HOLD.days - 1)
    assert list(queries.due_for_erasure()) == []
    assert "1 day left" in as_owner.get("/o/acme/").content.decode()
    move_request_back(acme, 1)
    assert list(queries.due_for_erasure()) == [acme]
    assert as_owner.post("/organizations/acme/reopen/").status_code == 410
    assert Organization.objects.get(pk=acme.pk).is_closed


def test_the_sole_member_of_a_closed_organization_may_delete_the_account(acme: Any, actor: Actor, owner: Any) -> None:
    with pytest.raises(errors.OnlyOwner):
        services.delete_account(owner, by=actor)
    close(acme, actor)
    services.delete_account(owner, by=actor)
    assert not User.objects.filter(pk=owner.pk).exists()
    assert Organization.objects.get(pk=acme.pk).is_closed


@pytest.mark.django_db(databases=["default", "console"], transaction=True)
def test_the_console_lists_closed_organizations_and_opens_one_again(acme: Any, globex: Any, actor: Actor) -> None:
    close(acme, actor)
    console = Client()
    console.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    page = console.get("/admin/console/closedorganization/")
    assert [(row.slug, row.days_left) for row in page.context["cl"].result_list] == [("acme", 30)]
    console.post("/admin/console/closedorganization/", {"action": "reopen", "_selected_action": [str(acme.pk)]})
    assert not Organization.objects.get(pk=acme.pk).is_closed
    with tenancy.scope(acme.pk):
        assert AuditEntry.objects.get(action="organization.deletion_cancelled").actor_kind == "operator"


@pytest.mark.django_db(databases=["default", "console"], transaction=True)
def test_the_console_names_what_cannot_start_again(acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    with tenancy.scope(acme.pk):
        version = make_model_version()
        Deployment.objects.create(name="big", model_version=version, serving_version=version, status="ready")
    close(acme, actor)
    monkeypatch.setattr("apps.deployments.services.MAX_REPLICAS_TOGETHER", 0)
    console = Client()
    console.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    body = {"action": "reopen", "_selected_action": [str(acme.pk)]}
    answer = console.post("/admin/console/closedorganization/", body, follow=True)
    assert "Acme: start these deployments by hand: big." in answer.content.decode()
    assert not Organization.objects.get(pk=acme.pk).is_closed
