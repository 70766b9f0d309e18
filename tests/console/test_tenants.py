"""Tenants in the console: their numbers are the rows behind them, each question finds whom it asks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import connections
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.deployments.models import Deployment
from apps.jobs.models import Job
from apps.logs.models import CallRecord
from apps.notifications.models import Delivery
from apps.organizations import services
from apps.organizations.models import Membership, Organization
from apps.usage import services as usage
from apps.usage.models import UsageEvent
from tests import database
from tests.conftest import actor_of
from tests.factories import world
from tests.factories.people import UserFactory
from tests.isolation import DATABASE

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

LIST = "/admin/organizations/organization/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


def call(status: int, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(
        **{
            "id": uuid4(),
            "request_id": "req_1",
            "occurred_at": timezone.now(),
            "method": "POST",
            "path": "/v2/models/m/infer",
            "route": "infer",
            "status": status,
            "latency_us": 1,
            "request_bytes": 1,
            "response_bytes": 1,
            "model": "m",
            "error_code": "",
            "client": "127.0.0.1",
            **fields,
        }
    )


def failed_job(**fields: Any) -> Job:
    return Job.objects.create(
        kind="console.sample_project",
        queue="data",
        label="Train churn",
        **{"status": "failed", "finished_at": timezone.now(), "error_message": "out of memory", **fields},
    )


def shown(console: Client, query: str = "") -> list[Any]:
    return list(console.get(LIST + query).context["cl"].result_list)


def figures(console: Client, slug: str) -> Any:
    return next(row for row in shown(console) if row.slug == slug)


def columns(console: Client, slug: str) -> dict[str, str]:
    page, row = admin.site._registry[Organization], figures(console, slug)
    return {name: str(getattr(page, name)(row)) for name in page.list_display if name != "name"}


def test_p3_each_number_of_the_list_is_that_of_the_rows_behind_it(
    console: Client, acme: Any, globex: Any, actor: Actor
) -> None:
    world.build(acme, actor)
    with tenancy.scope(acme.pk):
        for status in (500, 502, 404, 200):
            call(status)
        call(500, occurred_at=timezone.now() - timedelta(hours=25))
        failed_job()
        failed_job(status="dead")
        failed_job(finished_at=timezone.now() - timedelta(hours=25))
        Delivery.objects.update(status="failed", finished_at=timezone.now())
        Deployment.objects.update(status="degraded")
        usage.record("predictions", 40, event_id=uuid7(), cost_micro_usd=1_250_000)
        usage.record("training_ms", 90_000, event_id=uuid7())
        earlier = timezone.now() - timedelta(days=40)
        usage.record("predictions", 7, event_id=uuid7(earlier), occurred_at=earlier)
        stored = UsageEvent.objects.filter(meter="stored_bytes").aggregate(bytes=Sum("quantity"))["bytes"]
    row = figures(console, "acme")
    assert (row.member_count, row.failed_call_count, row.failed_job_count) == (3, 2, 2)
    assert (row.failed_delivery_count, row.ready_count, row.failing_count) == (1, 0, 1)
    assert row.usage == {"calls": 2, "training_ms": 90_000, "stored_bytes": stored, "cost_micro_usd": 1_250_000}
    told = columns(console, "acme")
    assert ">$1.25<" in told["spend"]
    assert ">1 m 30 s<" in told["compute"]
    other = figures(console, "globex")
    assert (other.member_count, other.usage) == (1, None)
    assert (other.failed_call_count, other.failed_job_count, other.failed_delivery_count) == (0, 0, 0)


@pytest.mark.parametrize(
    ("column", "count"),
    [
        *(("failed_calls", 2), ("failed_jobs", 1), ("failed_webhooks", 1), ("members", 3), ("endpoints", 1)),
        *(("calls", 2), ("spend", 1), ("compute", 1)),
    ],
)
def test_each_number_leads_to_the_rows_that_it_counts(
    console: Client, acme: Any, globex: Any, owner: Any, outsider: Any, column: str, count: int
) -> None:
    for organization, founder in ((acme, owner), (globex, outsider)):
        world.build(organization, actor_of(founder, "owner"))
    with tenancy.scope(acme.pk):
        call(500)
        call(503)
        failed_job()
        usage.record("predictions", 1, event_id=uuid7(), cost_micro_usd=5)
        usage.record("training_ms", 7, event_id=uuid7())
        Delivery.objects.update(status="failed", finished_at=timezone.now())
    link = columns(console, "acme")[column].split('href="')[1].split('"')[0].replace("&amp;", "&")
    listed = console.get(link).context["cl"].result_list
    assert [row.organization_id for row in listed] == [acme.pk] * count


def break_down(organization: Any) -> None:
    with tenancy.scope(organization.pk):
        failed_job()


def degrade(organization: Any) -> None:
    with tenancy.scope(organization.pk):
        founder = Membership.objects.select_related("user").get().user
        world.build(organization, actor_of(founder, "owner"))
        Deployment.objects.update(status="failed")


def suspend(organization: Any) -> None:
    with tenancy.scope(organization.pk):
        services.suspend_organization(organization, "unpaid", by=Actor("operator", None, "operator"))


def close(organization: Any) -> None:
    Organization.objects.filter(pk=organization.pk).update(deletion_requested_at=timezone.now())


@pytest.mark.parametrize(
    ("question", "happen"),
    [("failures", break_down), ("endpoints", degrade), ("suspended", suspend), ("closed", close)],
)
def test_a_question_finds_the_organizations_it_asks_for(
    console: Client, acme: Any, globex: Any, question: str, happen: Callable[[Any], None]
) -> None:
    assert shown(console, f"?question={question}") == []
    happen(globex)
    assert shown(console, f"?question={question}") == [globex]
    assert len(shown(console)) == 2


def let_time_pass(organization: Any) -> None:
    """The trail lets nobody change its times, so this is done behind its back."""
    long_ago = timezone.now() - timedelta(days=31)
    with database.admin(DATABASE) as connection:
        connection.execute("SET session_replication_role = 'replica'")
        where = (long_ago, organization.pk)
        connection.execute("UPDATE audit_auditentry SET created_at = %s WHERE organization_id = %s", where)
        connection.execute("UPDATE organizations_organization SET created_at = %s WHERE id = %s", where)


def test_the_idle_are_those_where_nobody_did_anything_for_30_days(
    console: Client, acme: Any, globex: Any, actor: Actor
) -> None:
    assert shown(console, "?question=idle") == []
    let_time_pass(acme)
    let_time_pass(globex)
    assert len(shown(console, "?question=idle")) == 2
    with tenancy.scope(acme.pk):
        call(200)
    assert shown(console, "?question=idle") == [globex]
    suspend(globex)  # what an operator does is not the organization's own activity
    assert shown(console, "?question=idle") == [globex]
    with tenancy.scope(globex.pk):
        services.create_project("Pricing", by=actor)
    assert shown(console, "?question=idle") == []


@pytest.mark.parametrize("order", range(1, 12))
def test_the_list_can_be_sorted_by_every_column(console: Client, acme: Any, globex: Any, order: int) -> None:
    with tenancy.scope(globex.pk):
        call(500)
        failed_job()
        usage.record("predictions", 1, event_id=uuid7(), cost_micro_usd=5)
        usage.record("training_ms", 1, event_id=uuid7())
    upwards, downwards = shown(console, f"?o={order}"), shown(console, f"?o=-{order}")
    assert {row.slug for row in upwards} == {row.slug for row in downwards} == {"acme", "globex"}


@pytest.mark.parametrize(
    ("order", "first"), [(3, "acme"), (5, "globex"), (6, "globex"), (9, "globex"), (10, "globex"), (11, "globex")]
)
def test_sorted_downwards_the_most_comes_first(console: Client, acme: Any, globex: Any, order: int, first: str) -> None:
    with tenancy.scope(globex.pk):
        call(500)
        failed_job()
        usage.record("predictions", 1, event_id=uuid7(), cost_micro_usd=5)
        usage.record("training_ms", 1, event_id=uuid7())
    assert shown(console, f"?o=-{order}")[0].slug == first


def queries_of(console: Client, path: str) -> int:
    with CaptureQueriesContext(connections["console"]) as counted, CaptureQueriesContext(connections["default"]) as own:
        assert console.get(path).status_code == 200
    return len(counted) + len(own)


def test_thirty_organizations_cost_the_queries_of_one(console: Client, acme: Any) -> None:
    console.get(LIST)
    one = queries_of(console, LIST)
    for number in range(30):
        services.create_organization(f"Team {number}", UserFactory())
    assert len(shown(console)) == 31
    assert queries_of(console, LIST) == one


def test_the_page_of_an_organization_costs_the_same_however_much_is_in_it(console: Client, acme: Any) -> None:
    path = reverse("admin:organizations_organization_change", args=[acme.pk])
    console.get(path)
    few = queries_of(console, path)
    with tenancy.scope(acme.pk):
        for _ in range(10):
            Membership.objects.create(user=UserFactory(), role="analyst")
            failed_job()
            call(500)
    assert queries_of(console, path) == few


def test_the_page_of_an_organization_shows_its_calls_failures_and_people(
    console: Client, acme: Any, owner: Any
) -> None:
    path = reverse("admin:organizations_organization_change", args=[acme.pk])
    empty = console.get(path).content.decode()
    assert "No calls in 30 days." in empty
    assert "Nothing failed." in empty
    with tenancy.scope(acme.pk):
        call(200)
        call(500, path="/v2/models/churn/infer")
        job = failed_job()
    page = console.get(path)
    text = page.content.decode()
    assert "2 calls in 30 days, 1 failed" in text
    assert "out of memory" in text
    assert reverse("admin:jobs_job_change", args=[job.pk]) in text
    assert "/v2/models/churn/infer" in text
    assert page.context["tenant"].members[0].user == owner


def test_looking_as_a_member_is_one_click_away_from_the_organization(console: Client, acme: Any, viewer: Any) -> None:
    with tenancy.scope(acme.pk):
        membership = Membership.objects.get(user=viewer)
    text = console.get(reverse("admin:organizations_organization_change", args=[acme.pk])).content.decode()
    assert f'value="{membership.pk}"' in text
    body = {"action": "act_as", "_selected_action": str(membership.pk)}
    asked = console.post(reverse("admin:organizations_membership_changelist"), body).content.decode()
    assert "Reason" in asked
    assert "viewer@acme.test" in asked


def test_an_organization_is_suspended_and_resumed_from_its_page(console: Client, acme: Any) -> None:
    page, action = (
        reverse("admin:organizations_organization_change", args=[acme.pk]),
        {"_selected_action": str(acme.pk)},
    )
    assert re.search(r'name="action"\s+value="suspend"', console.get(page).content.decode())
    console.post(LIST, {**action, "action": "suspend", "reason": "unpaid"})
    shown = console.get(page).content.decode()
    assert "Suspended" in shown
    assert re.search(r'name="action"\s+value="resume"', shown)
    console.post(LIST, {**action, "action": "resume"})
    acme.refresh_from_db()
    assert not acme.is_suspended


def test_an_organization_is_registered_once_and_nobody_else_sees_it(as_owner: Client) -> None:
    assert type(admin.site._registry[Organization]).__name__ == "TenantAdmin"
    assert as_owner.get(LIST).status_code == 302
