"""The dead set: inspected, and retried or discarded one by one or by filter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs import dead_set, errors, services
from apps.jobs.enums import Status
from apps.jobs.models import Job, JobDependency, JobTag, JobTransition
from tests.jobs.test_dependencies import in_thread

pytestmark = pytest.mark.django_db

URL = "/api/v1/jobs/"


def dead(number: int = 1, *tags: str, **fields: Any) -> list[Job]:
    defaults = {"kind": "mine", "queue": "outside", "status": Status.DEAD, "attempt": 3, "error_code": "worker_lost"}
    told = {"told_at": timezone.now()}
    jobs: list[Job] = Job.objects.bulk_create(Job(label=f"job {n}", **defaults | told | fields) for n in range(number))
    JobTag.objects.bulk_create(JobTag(job=job, tag=tag) for job in jobs for tag in tags)
    return jobs


def ids_of(answer: Any) -> set[str]:
    return {row["id"] for row in answer.json()["results"]}


def test_the_dead_set_is_what_nobody_discarded(api_developer: Any, in_acme: Any) -> None:
    (one,), (other,) = dead(), dead()
    dead(status=Status.FAILED)
    assert api_developer.post(f"{URL}{other.pk}/discard/").json()["discarded_at"]
    assert ids_of(api_developer.get(f"{URL}?status=dead&discarded=false")) == {str(one.pk)}
    assert ids_of(api_developer.get(f"{URL}?status=dead&discarded=true")) == {str(other.pk)}
    assert ids_of(api_developer.get(f"{URL}?status=dead")) == {str(one.pk), str(other.pk)}


def test_only_what_is_dead_is_discarded_and_once(api_developer: Any, in_acme: Any, actor: Actor) -> None:
    (job,), (failed,) = dead(), dead(status=Status.FAILED)
    services.discard_job(job, by=actor)
    for one in (job, failed):
        answer = api_developer.post(f"{URL}{one.pk}/discard/")
        assert (answer.status_code, answer.json()["code"]) == (409, "job_not_dead")
    with pytest.raises(errors.JobNotDead):
        services.discard_job(job, by=actor)


@pytest.mark.parametrize("action", ["retry-dead", "discard-dead"])
@pytest.mark.parametrize(
    ("filters", "fields", "tags"),
    [
        ({"kind": "this"}, {"kind": "this"}, ()),
        ({"queue": "data"}, {"queue": "data"}, ()),
        ({"tag": "gpu"}, {}, ("gpu",)),
        ({"error_code": "unexpected"}, {"error_code": "unexpected"}, ()),
        ({"kind": "this", "tag": "gpu"}, {"kind": "this"}, ("gpu", "other")),
        ({}, {}, ()),
    ],
)
def test_what_a_filter_means_is_done_to_those_alone(
    api_developer: Any, in_acme: Any, action: str, filters: Any, fields: Any, tags: Any
) -> None:
    meant = dead(2, *tags, **fields)
    others = [*dead(1), *dead(1, "cpu", kind="that")] if filters else []
    failed = dead(1, *tags, **fields | {"status": Status.FAILED})
    answer = api_developer.post(f"{URL}{action}/", filters)
    assert (answer.status_code, answer.json()) == (200, {"count": 2, "remaining": 0})
    left = set(Job.objects.dead().values_list("pk", flat=True))
    assert left == {job.pk for job in others}
    assert Job.objects.get(pk=failed[0].pk).status == "failed"
    changed = Job.objects.filter(pk__in=[job.pk for job in meant])
    if action == "retry-dead":
        assert {(job.status, job.ready_at is not None, job.max_attempts) for job in changed} == {("pending", True, 6)}
    else:
        assert {(job.status, job.discarded_at is not None) for job in changed} == {("dead", True)}


def test_a_filter_by_age_counts_from_when_a_job_was_submitted(api_developer: Any, in_acme: Any) -> None:
    dead()
    now = timezone.now()
    for filters, count in (
        ({"created_before": (now - timedelta(hours=1)).isoformat()}, 0),
        ({"created_after": (now + timedelta(hours=1)).isoformat()}, 0),
        ({"created_after": (now - timedelta(hours=1)).isoformat()}, 1),
    ):
        assert api_developer.post(f"{URL}discard-dead/", filters).json()["count"] == count, filters


def test_what_cannot_be_a_filter_is_refused(api_developer: Any, in_acme: Any) -> None:
    dead()
    for filters in ({"created_before": "yesterday"}, {"kind": ""}, {"tag": []}):
        assert api_developer.post(f"{URL}retry-dead/", filters).status_code == 422, filters
    assert Job.objects.dead().count() == 1


def test_a_call_does_so_many_at_most_and_says_what_is_left(
    api_developer: Any, in_acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_set, "BATCH", 2)
    monkeypatch.setattr(dead_set, "MOST_AT_ONCE", 5)
    jobs = dead(7)
    assert api_developer.post(f"{URL}retry-dead/", {}).json() == {"count": 5, "remaining": 2}
    left = Job.objects.dead().order_by("id").values_list("pk", flat=True)
    assert list(left) == [job.pk for job in jobs[5:]], "the oldest first"
    assert api_developer.post(f"{URL}retry-dead/", {}).json() == {"count": 2, "remaining": 0}
    assert api_developer.post(f"{URL}retry-dead/", {}).json() == {"count": 0, "remaining": 0}
    retried = JobTransition.objects.filter(status="pending", reason__startswith="Retried").values("job").distinct()
    assert retried.count() == 7


def test_the_trail_tells_who_did_it_to_how_many_and_which(api_developer: Any, in_acme: Any) -> None:
    dead(3, "gpu")
    api_developer.post(f"{URL}discard-dead/", {"tag": "gpu"})
    line = AuditEntry.objects.get(action="job.dead_set_discarded")
    assert (line.changes, line.subject_id) == ({"tag": "gpu", "count": 3}, in_acme.pk)
    api_developer.post(f"{URL}discard-dead/", {"tag": "gpu"})
    assert AuditEntry.objects.filter(action="job.dead_set_discarded").count() == 1, "nothing done, nothing told"


def test_what_ended_because_of_a_dead_job_comes_back_with_it(in_acme: Any, actor: Actor) -> None:
    (first,) = dead(has_dependents=True)
    (second,) = dead(status=Status.FAILED, error_code="dependency_failed", doomed_by_id=first.pk)
    JobDependency.objects.create(job=second, needs=first)
    dead_set.retry_dead(Job.objects.all(), by=actor)
    second.refresh_from_db()
    assert (second.status, second.waits_for, second.ready_at) == ("pending", 1, None)


def test_more_jobs_need_no_more_statements(in_acme: Any, actor: Actor) -> None:
    def statements(number: int) -> int:
        dead(number)
        with CaptureQueriesContext(connection) as seen:
            assert dead_set.retry_dead(Job.objects.all(), by=actor).count == number
        return len(seen)

    assert statements(3) == statements(300)


def test_s1_nobody_elses_dead_jobs_are_meant(api_outsider: Any, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        (job,) = dead()
    assert api_outsider.post(f"{URL}retry-dead/", {}).json() == {"count": 0, "remaining": 0}
    assert api_outsider.post(f"{URL}{job.pk}/discard/").status_code == 404


def test_a_viewer_may_do_neither(api_viewer: Any, in_acme: Any) -> None:
    (job,) = dead()
    for path in ("retry-dead", "discard-dead", f"{job.pk}/discard"):
        assert api_viewer.post(f"{URL}{path}/").status_code == 403
    assert Job.objects.dead().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_that_somebody_is_at_work_on_is_left_to_them(in_acme: Any, actor: Actor) -> None:
    job, other = dead(2)
    seen: list[BaseException] = []
    with transaction.atomic():
        services.discard_job(job, by=actor)
        in_thread(lambda: dead_set.retry_dead(Job.objects.all(), by=actor), seen).join()
    assert seen == []
    assert Job.objects.get(pk=job.pk).status == "dead"
    assert Job.objects.get(pk=other.pk).status == "pending"
