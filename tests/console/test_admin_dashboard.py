"""The first page of the console: what waits and what failed, counted in the rows and led to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.mail import EmailMessage
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts import mail
from apps.accounts.models import Mail, User
from apps.console.models import ErasureReceipt, ProbeResult
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.deployments.models import Replica
from apps.jobs.models import Job
from apps.notifications.models import Delivery
from apps.organizations import services
from apps.usage import services as usage
from tests.console.test_tenants import call, failed_job
from tests.factories import world
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


def waiting_job(queue: str, **fields: Any) -> Job:
    return Job.objects.create(kind="console.sample_project", queue=queue, label="a job", **fields)


def test_an_empty_installation_says_that_all_is_quiet(console: Client) -> None:
    text = words(console.get("/admin/"))
    for said in (
        "No job runs or waits.",
        "Nothing was probed",
        "Nothing failed anywhere.",
        "Nobody used anything.",
        "0 waiting",
    ):
        assert said in text


def test_queues_come_with_what_waits_longest(console: Client, acme: Any, globex: Any) -> None:
    now = timezone.now()
    with tenancy.scope(acme.pk):
        waiting_job("data", ready_at=now - timedelta(minutes=5))
        waiting_job("data", run_at=now + timedelta(hours=1), status="retrying")
        waiting_job("llm", ready_at=now - timedelta(minutes=1))
    with tenancy.scope(globex.pk):
        first = waiting_job("llm", ready_at=now - timedelta(minutes=9))
        waiting_job("training", status="running", lease_until=now + timedelta(minutes=1))
    page = console.get("/admin/")
    rows = [(row["queue"], row["running"], row["waiting"], row["later"]) for row in page.context["queues"]]
    assert rows == [("llm", 0, 2, 0), ("data", 0, 1, 1), ("training", 1, 0, 0)]
    assert page.context["queues"][0]["oldest"] == first.ready_at
    listed = console.get(page.context["queues"][1]["url"]).context["cl"].result_list
    assert {job.queue for job in listed} == {"data"}
    assert len(listed) == 2


def test_what_was_given_up_is_counted_and_led_to(console: Client, acme: Any, actor: Actor) -> None:
    world.build(acme, actor)
    mail.keep(EmailMessage("Hello", "One.", to=["a@b.test"]))
    Mail.objects.update(status="failed")
    with tenancy.scope(acme.pk):
        Delivery.objects.update(status="failed", finished_at=timezone.now())
        Replica.objects.update(status="failed")
    page = console.get("/admin/")
    for name, number in (("mails", Mail.objects.count()), ("webhooks", 1)):
        told = page.context[name]
        assert told.failed == number
        assert len(console.get(told.failed_url).context["cl"].result_list) == number
    assert "1 failed" in words(page)


def test_failed_jobs_of_all_organizations_are_shown_newest_first(console: Client, acme: Any, globex: Any) -> None:
    now = timezone.now()
    with tenancy.scope(acme.pk):
        failed_job(finished_at=now - timedelta(hours=2))
        failed_job(finished_at=now - timedelta(hours=25))
    with tenancy.scope(globex.pk):
        failed_job(status="dead", finished_at=now - timedelta(hours=1))
    page = console.get("/admin/")
    assert [job.organization for job in page.context["failed_jobs"]] == [globex, acme]
    assert len(console.get(page.context["failed_jobs_url"]).context["cl"].result_list) == 2
    assert "out of memory" in words(page)


def test_p3_who_uses_most_and_who_has_most_failures_come_first(console: Client, acme: Any, globex: Any) -> None:
    with tenancy.scope(acme.pk):
        usage.record("predictions", 1, event_id=uuid7(), cost_micro_usd=5)
        call(500)
    with tenancy.scope(globex.pk):
        usage.record("predictions", 1, event_id=uuid7(), cost_micro_usd=7_000_000)
        for _ in range(3):
            call(500)
        failed_job()
    context = console.get("/admin/").context
    assert [row.slug for row in context["busiest"]] == ["globex", "acme"]
    assert [(row.slug, row.failures) for row in context["troubled"]] == [("globex", 4), ("acme", 1)]


def test_a_part_that_fails_is_named_and_the_others_are_counted(console: Client) -> None:
    for component, is_ok in (("web", True), ("edge", False)):
        ProbeResult.objects.create(component=component, at=timezone.now(), is_ok=is_ok, error_code="" if is_ok else "x")
    page = console.get("/admin/")
    assert [(part.name, state) for part, state in page.context["components"]] == [
        ("web", "operational"),
        ("edge", "failing"),
    ]
    assert "2 parts are probed." in words(page)


def test_the_page_costs_the_same_queries_however_much_there_is(console: Client, acme: Any) -> None:
    console.get("/admin/")
    few = queries_of(console)
    for number in range(10):
        organization = services.create_organization(f"Team {number}", UserFactory())
        with tenancy.scope(organization.pk):
            failed_job()
            waiting_job(f"queue{number}")
            call(500)
            usage.record("predictions", 1, event_id=uuid7(), cost_micro_usd=5)
    assert queries_of(console) == few


def queries_of(console: Client) -> int:
    with CaptureQueriesContext(connections["console"]) as counted, CaptureQueriesContext(connections["default"]) as own:
        assert console.get("/admin/").status_code == 200
    return len(counted) + len(own)


def test_an_erasure_that_left_something_is_told_until_it_is_done(console: Client) -> None:
    assert "Erasures" not in words(console.get("/admin/"))
    left = ErasureReceipt.objects.create(
        organization_id=uuid4(), name_hash="0", requested_at=timezone.now(), problem="Left: files: 2"
    )
    page = console.get("/admin/")
    assert "1 unfinished" in words(page)
    assert "1 found something left" in words(page)
    assert page.context["erasures"].waiting_url in page.content.decode().replace("&amp;", "&")
    listed = console.get(page.context["erasures"].waiting_url).context["cl"].result_list
    assert [row.pk for row in listed] == [left.pk]
    ErasureReceipt.objects.update(erased_at=timezone.now(), problem="")
    assert "Erasures" not in words(console.get("/admin/"))
