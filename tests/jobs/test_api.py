"""Reading jobs by the API: lists, one job with all there is to it, its log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs import services
from apps.jobs.models import Job, JobDependency, JobLogLine, JobTag, Queue
from apps.jobs.services import Wishes

pytestmark = pytest.mark.django_db

URL = "/api/v1/jobs/"


def a_job(*tags: str, **fields: Any) -> Job:
    defaults = {"kind": "mine", "queue": "outside", "label": "Train tonight"}
    job: Job = Job.objects.create(**defaults | fields)
    JobTag.objects.bulk_create(JobTag(job=job, tag=tag) for tag in tags)
    return job


def listed(client: Any, query: str = "") -> list[str]:
    answer = client.get(f"{URL}?{query}")
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


@pytest.mark.parametrize(
    ("query", "fields", "tags"),
    [
        ("status=dead", {"status": "dead"}, ()),
        ("kind=this", {"kind": "this"}, ()),
        ("queue=data", {"queue": "data"}, ()),
        ("tag=gpu", {}, ("gpu", "b")),
        ("error_code=no_use", {"error_code": "no_use"}, ()),
        ("subject_type=dataset", {"subject_type": "dataset"}, ()),
        ("kind=this&tag=gpu&status=failed", {"kind": "this", "status": "failed"}, ("gpu",)),
    ],
)
def test_a_filter_finds_what_it_says(api_viewer: Any, in_acme: Any, query: str, fields: Any, tags: Any) -> None:
    meant = a_job(*tags, **fields)
    a_job("cpu", kind="that", status="succeeded")
    assert listed(api_viewer, query) == [str(meant.pk)]
    assert len(listed(api_viewer)) == 2


def test_several_statuses_are_told_one_after_the_other(api_viewer: Any, in_acme: Any) -> None:
    failed, dead = a_job(status="failed"), a_job(status="dead")
    a_job(status="succeeded")
    assert listed(api_viewer, "status=failed&status=dead") == [str(dead.pk), str(failed.pk)]


def test_age_is_when_it_was_submitted(api_viewer: Any, in_acme: Any) -> None:
    job = a_job()
    before, after = ((timezone.now() + timedelta(hours=hours)).isoformat().replace("+", "%2B") for hours in (-1, 1))
    assert listed(api_viewer, f"created_after={before}&created_before={after}") == [str(job.pk)]
    assert listed(api_viewer, f"created_after={after}") == []
    assert listed(api_viewer, f"created_before={before}") == []


def test_a_status_that_there_is_not_is_refused(api_viewer: Any) -> None:
    assert api_viewer.get(f"{URL}?status=lost").status_code == 422


def test_an_unknown_job_is_not_found(api_owner: Any) -> None:
    for path in ("", "log/"):
        assert api_owner.get(f"{URL}{uuid4()}/{path}").status_code == 404
    for action in ("cancel", "retry", "discard"):
        assert api_owner.post(f"{URL}{uuid4()}/{action}/").status_code == 404


def test_a_list_with_tags_needs_no_query_per_row(api_viewer: Any, in_acme: Any) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            listed(api_viewer)
        return len(seen)

    a_job("a", "b")
    listed(api_viewer)
    one = statements()
    a_job("c"), a_job("a")
    assert statements() == one


def test_a_job_tells_what_it_waits_for_and_what_waits_for_it(api_viewer: Any, in_acme: Any, actor: Actor) -> None:
    def submit(label: str, *needs: Job) -> Job:
        wishes = Wishes(depends_on=[job.pk for job in needs])
        return services.submit_job("mine", {}, by=actor, label=label, wishes=wishes)

    read = submit("read")
    train = submit("train", read)
    for name in ("report", "mail"):
        submit(name, train)
    told = api_viewer.get(f"{URL}{train.pk}/").json()
    assert [(one["id"], one["name"], one["status"]) for one in told["depends_on"]] == [
        (str(read.pk), "read", "pending")
    ]
    assert [one["name"] for one in told["dependents"]] == ["report", "mail"]
    assert told["waits_for"] == 1


def test_many_dependents_are_shown_in_part(api_viewer: Any, in_acme: Any) -> None:
    first = a_job(has_dependents=True)
    others = Job.objects.bulk_create(Job(kind="mine", queue="outside", label="x", waits_for=1) for _ in range(120))
    JobDependency.objects.bulk_create(JobDependency(job=other, needs=first) for other in others)
    with CaptureQueriesContext(connection) as seen:
        told = api_viewer.get(f"{URL}{first.pk}/").json()
    assert len(told["dependents"]) == 100
    assert len(seen) < 20


def test_a_job_tells_its_times_its_worker_and_what_went_wrong(api_viewer: Any, in_acme: Any) -> None:
    now = timezone.now()
    job = a_job(
        status="failed",
        worker="gpu-1",
        ready_at=now - timedelta(seconds=10),
        started_at=now - timedelta(seconds=8),
        finished_at=now - timedelta(seconds=3),
        error_class="ValueError",
        traceback="Traceback of a ValueError",
    )
    told = api_viewer.get(f"{URL}{job.pk}/").json()
    assert (told["queue_time_ms"], told["run_time_ms"], told["worker"]) == (2000, 5000, "gpu-1")
    assert (told["error_class"], told["traceback"]) == ("ValueError", "Traceback of a ValueError")
    assert told["callback"] is None
    assert "traceback" not in api_viewer.get(URL).json()["results"][0], "a list would grow with it"


def test_a_log_is_followed_from_the_last_line_that_was_seen(api_viewer: Any, in_acme: Any) -> None:
    job = a_job()
    lines = [JobLogLine.objects.create(job=job, attempt=1, text=f"line {n}") for n in range(5)]
    log = f"{URL}{job.pk}/log/"
    assert api_viewer.get(log).json()["results"][0]["text"] == "line 4"
    newer = api_viewer.get(f"{log}?after={lines[2].pk}").json()["results"]
    assert [line["text"] for line in newer] == ["line 4", "line 3"]
    assert api_viewer.get(f"{log}?after={lines[4].pk}").json()["results"] == []
    assert api_viewer.get(f"{log}?after=the-last").status_code == 422
    other = JobLogLine.objects.create(job=a_job(), attempt=1, text="another job's")
    assert api_viewer.get(f"{log}?after={other.pk}").status_code == 404


def test_s1_nobody_elses_jobs_are_listed(api_outsider: Any, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        job = a_job("gpu")
    for query in ("", "tag=gpu", "kind=mine", "status=pending"):
        assert listed(api_outsider, query) == []
    assert api_outsider.get(f"{URL}{job.pk}/").status_code == 404


def test_the_queues_tell_what_stands_in_them(api_viewer: Any, in_acme: Any) -> None:
    now = timezone.now()
    a_job(ready_at=now - timedelta(minutes=1))
    a_job(status="retrying", ready_at=None), a_job(waits_for=1)
    a_job(status="running", lease_until=now, ready_at=now - timedelta(hours=2))
    a_job(status="succeeded", finished_at=now), a_job(status="dead", finished_at=now)
    a_job(status="dead", finished_at=now - timedelta(hours=2))
    Queue.objects.update_or_create(name="data", defaults={"drained_at": now})
    told = {one.pop("name"): one for one in api_viewer.get("/api/v1/job-queues/").json()}
    outside = told["outside"]
    assert outside.pop("oldest_ready_at").startswith((now - timedelta(minutes=1)).isoformat()[:19])
    numbers = {"ready": 1, "later": 2, "running": 1, "ended_last_hour": 2, "failed_last_hour": 1}
    assert outside == {**numbers, "is_drained": False}
    assert told["data"]["is_drained"]


def test_the_queues_of_an_organization_without_jobs_are_empty(api_viewer: Any) -> None:
    told = api_viewer.get("/api/v1/job-queues/").json()
    assert {"outside", "data", "training"} <= {one["name"] for one in told}
    assert {one["ready"] for one in told} == {0}
