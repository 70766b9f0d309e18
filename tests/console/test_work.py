"""Work in the operator's console: stuck leases, the dead set, queues, workers, and each organization's load."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.operators import OperatorNeeded
from apps.jobs import dispatch, queues, running, services
from apps.jobs.errors import LeaseLost
from apps.jobs.models import Job, Queue, Worker
from apps.jobs.running import RunningJob
from apps.organizations import services as organizations
from tests.factories.people import UserFactory
from tests.working import take

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

JOBS = "/admin/jobs/job/"
QUEUES = "/admin/jobs/queue/"
LOAD = "/admin/console/organizationload/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


def job_of(organization: Any, count: int = 1, **fields: Any) -> Job:
    defaults = {"kind": "console.sample_project", "queue": "data", "label": "a job"}
    with tenancy.scope(organization.pk):
        return Job.objects.bulk_create([Job(**{**defaults, **fields}) for _ in range(count)])[0]


def running_job(organization: Any, lease: timedelta, **fields: Any) -> Job:
    now = timezone.now()
    defaults = {"attempt": 1, "worker": "runner-1", "started_at": now, "heartbeat_at": now}
    return job_of(organization, status="running", lease_until=now + lease, **{**defaults, **fields})


def now_of(job: Job) -> Job:
    with tenancy.scope(job.organization_id):
        return Job.objects.get(pk=job.pk)


def listed(console: Client, address: str) -> list[Any]:
    return list(console.get(address).context["cl"].result_list)


def act(console: Client, address: str, action: str, rows: list[Any], **more: str) -> Any:
    return console.post(address, {"action": action, "_selected_action": [str(row.pk) for row in rows], **more})


def test_stuck_leases_are_listed_and_given_back_at_once(console: Client, acme: Any, globex: Any) -> None:
    stuck = running_job(acme, timedelta(seconds=-30))
    running_job(globex, timedelta(seconds=5))
    assert listed(console, f"{JOBS}?question=stuck") == [stuck]
    act(console, JOBS, "give_back", [stuck])
    given = now_of(stuck)
    assert (given.status, given.worker, given.max_attempts) == ("retrying", "", 4)
    with tenancy.scope(acme.pk):
        assert AuditEntry.objects.get(action="job.given_back").actor_kind == "operator"
        (last,) = given.transitions.order_by("-id")[:1]
        assert (last.status, last.worker) == ("retrying", "runner-1")
    claim = take("data")
    assert claim is not None
    assert (claim.job_id, claim.attempt) == (stuck.pk, 2)


def test_a_job_that_runs_on_long_after_its_time_limit_is_stuck(console: Client, acme: Any) -> None:
    begun = timezone.now() - timedelta(minutes=10)
    late = running_job(acme, timedelta(seconds=5), started_at=begun, time_limit_s=60)
    running_job(acme, timedelta(seconds=5), started_at=begun, time_limit_s=600)
    assert listed(console, f"{JOBS}?question=stuck") == [late]


def test_what_a_worker_still_writes_is_refused_once_its_job_was_given_back(acme: Any, actor: Actor) -> None:
    job_of(acme, ready_at=timezone.now())
    claim = take("data")
    assert claim is not None
    attempt = RunningJob(claim)
    with tenancy.scope(acme.pk):
        services.give_back(Job.objects.get(), by=actor)
        with pytest.raises(LeaseLost):
            attempt.progress(0.5)
    with tenancy.no_scope():
        assert dispatch.beat(claim.worker, {claim.job_id: claim.attempt}) == {}
        assert running.execute(claim) is None
    with tenancy.scope(acme.pk):
        assert Job.objects.get().status == "retrying"


def test_giving_back_what_should_be_cancelled_cancels_it(console: Client, acme: Any) -> None:
    job = running_job(acme, timedelta(seconds=-30), cancel_requested_at=timezone.now())
    act(console, JOBS, "give_back", [job])
    assert now_of(job).status == "cancelled"


def test_only_a_running_job_is_given_back(console: Client, acme: Any) -> None:
    job = job_of(acme)
    page = console.post(JOBS, {"action": "give_back", "_selected_action": [str(job.pk)]}, follow=True)
    assert "Only a running job can be taken from its worker; this one is pending." in page.content.decode()


def test_the_dead_set_of_all_organizations_is_discarded_or_retried_as_a_whole(
    console: Client, acme: Any, globex: Any
) -> None:
    dead = {"status": "dead", "attempt": 3, "finished_at": timezone.now()}
    job_of(acme, 60, **dead)
    job_of(globex, 60, **dead)
    failed = job_of(globex, **{**dead, "status": "failed"})
    address = f"{JOBS}?question=dead"
    assert len(listed(console, f"{JOBS}?question=dead&all=")) == 120

    chosen = listed(console, f"{address}&organization__id__exact={acme.pk}")[:1]
    page = console.post(
        f"{address}&organization__id__exact={acme.pk}",
        {"action": "discard_dead", "_selected_action": [str(chosen[0].pk)], "select_across": "1"},
        follow=True,
    )
    assert "60 dead jobs are discarded." in page.content.decode()
    assert {job.organization_id for job in listed(console, f"{address}&all=")} == {globex.pk}

    page = console.post(
        JOBS, {"action": "retry_dead", "_selected_action": [str(chosen[0].pk)], "select_across": "1"}, follow=True
    )
    assert "60 dead jobs are run once more." in page.content.decode()
    assert listed(console, address) == []
    assert now_of(failed).status == "failed"
    with tenancy.scope(globex.pk):
        assert Job.objects.filter(status="pending").count() == 60
        assert AuditEntry.objects.get(action="job.dead_set_retried").changes["count"] == 60


def test_a_drained_queue_gives_nothing_more_until_it_is_resumed(console: Client, acme: Any) -> None:
    queues.declare()
    job_of(acme, ready_at=timezone.now())
    data = Queue.objects.get(name="data")
    asked = act(console, QUEUES, "drain", [data])
    assert "Drain these queues?" in asked.content.decode()
    assert take("data") is not None
    job_of(acme, ready_at=timezone.now())
    act(console, QUEUES, "drain", [data], reason="The disks are  changed.")
    data.refresh_from_db()
    assert (data.drained_because, data.drained_by) == ("The disks are changed.", "operator operator@modelyard.test")
    assert take("data") is None
    assert "The disks are changed." in console.get("/admin/").content.decode()
    twice = console.post(QUEUES, {"action": "drain", "_selected_action": ["data"], "reason": "Again"}, follow=True)
    assert "The queue data is drained already." in twice.content.decode()
    act(console, QUEUES, "resume", [data])
    assert take("data") is not None
    said = list(LogEntry.objects.filter(object_id="data").order_by("pk").values_list("change_message", flat=True))
    assert said == ["Drained: The disks are changed.", "Resumed"]
    assert "Drained: The disks are changed." in console.get(f"{QUEUES}data/history/").content.decode()


def test_only_an_operator_drains(acme: Any, actor: Actor) -> None:
    queues.declare()
    with pytest.raises(OperatorNeeded):
        queues.drain(Queue.objects.get(name="data"), because="I want to", by=actor)
    assert queues.drained() == []


def test_declaring_queues_again_keeps_what_is_drained() -> None:
    queues.declare()
    Queue.objects.filter(name="data").update(drained_at=timezone.now(), drained_because="It stays")
    queues.declare()
    assert [queue.drained_because for queue in queues.drained()] == ["It stays"]


def test_queues_are_counted_across_organizations(console: Client, acme: Any, globex: Any) -> None:
    queues.declare()
    now = timezone.now()
    job_of(acme, 2, ready_at=now - timedelta(minutes=1))
    job_of(globex, ready_at=now - timedelta(minutes=9))
    job_of(globex, run_at=now + timedelta(hours=1))
    running_job(globex, timedelta(seconds=5))
    dispatch.sign_on("runner-1", ["data", "llm"], 1, 0)
    dispatch.sign_on("runner-2", ["data"], 1, 0)
    Worker.objects.filter(name="runner-2").update(heartbeat_at=now - timedelta(minutes=1))
    rows = {row.name: row for row in listed(console, QUEUES)}
    data = rows["data"]
    assert (data.running_count, data.ready_count, data.later_count, data.worker_count) == (1, 3, 1, 1)
    assert data.oldest_ready_at == now - timedelta(minutes=9)
    assert (rows["training"].ready_count, rows["training"].worker_count) == (0, 0)


def test_silent_workers_are_told_from_living_ones(console: Client) -> None:
    dispatch.sign_on("runner-1", ["data"], 8, 3)
    dispatch.sign_on("runner-2", ["data"], 1, 0)
    Worker.objects.filter(name="runner-2").update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    page = console.get("/admin/jobs/worker/").content.decode()
    assert [page.count(word) for word in ("Alive", "Silent", "3 of 8")] == [1, 1, 1]


def test_the_load_tells_who_has_how_much_of_the_workers(console: Client, acme: Any, globex: Any) -> None:
    now = timezone.now()
    for _ in range(3):
        running_job(acme, timedelta(seconds=5))
    running_job(acme, timedelta(seconds=5), queue="outside")
    job_of(globex, 2, ready_at=now - timedelta(minutes=2))
    job_of(globex, 3, status="succeeded", finished_at=now)
    job_of(globex, status="dead", finished_at=now)
    job_of(globex, 7, status="failed", finished_at=now - timedelta(hours=2))
    with tenancy.scope(globex.pk):
        organizations.set_plan(globex, plan="starter", by=Actor("system", None, "system"))
    first, second = listed(console, LOAD)
    assert (first.slug, first.running_count, first.limit, first.ready_count, first.failure_share) == (
        "acme",
        3,
        20,
        0,
        None,
    )
    assert (second.slug, second.limit, second.ready_count, second.ended_count, second.dead_count) == (
        "globex",
        2,
        2,
        4,
        1,
    )
    assert second.failure_share == 0.25
    assert second.oldest_ready_at == now - timedelta(minutes=2)
    rows = re.findall(r'href="(/admin/jobs/job/[^"]*)"', console.get(LOAD).content.decode())
    assert [len(listed(console, html.unescape(address))) for address in rows if "organization" in address] == [3, 2, 1]
    assert [row.slug for row in listed(console, f"{LOAD}?question=dead")] == ["globex"]
    assert [row.slug for row in listed(console, f"{LOAD}?question=full")] == []
    for column in range(1, 9):
        assert len(listed(console, f"{LOAD}?o=-{column}")) == 2


@pytest.mark.parametrize("address", [LOAD, QUEUES, JOBS, "/admin/jobs/worker/"])
def test_longer_lists_take_no_more_statements(console: Client, acme: Any, address: str) -> None:
    queues.declare()
    running_job(acme, timedelta(seconds=5))
    dispatch.sign_on("runner-1", ["data"], 1, 0)
    console.get(address)
    few = statements(console, address)
    for number in range(4):
        organization = organizations.create_organization(f"Team {number}", UserFactory())
        running_job(organization, timedelta(seconds=5))
        job_of(organization, ready_at=timezone.now())
        dispatch.sign_on(f"runner-{number + 2}", ["data"], 1, 0)
    assert statements(console, address) == few


def statements(console: Client, address: str) -> int:
    with CaptureQueriesContext(connections["console"]) as across, CaptureQueriesContext(connections["default"]) as own:
        assert console.get(address).status_code == 200
    return len(across) + len(own)


def test_the_first_page_names_dead_jobs_and_stuck_leases(console: Client, acme: Any, globex: Any) -> None:
    job_of(acme, 2, status="dead", finished_at=timezone.now())
    job_of(globex, status="dead", finished_at=timezone.now(), discarded_at=timezone.now())
    running_job(globex, timedelta(seconds=-30))
    page = console.get("/admin/")
    assert (page.context["dead_count"], page.context["stuck_count"]) == (2, 1)
    assert len(listed(console, page.context["dead_url"])) == 2
    assert len(listed(console, page.context["stuck_url"])) == 1
    assert "No worker is alive" in page.content.decode()
