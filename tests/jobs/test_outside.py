"""Outside work: an organization's own processes take jobs over the API, under the same leases and fencing as ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.test import APIClient

from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs import doorbell, services, sweeping
from apps.jobs.models import Job, JobLogLine, OutsideWorker, Queue
from apps.jobs.services import Wishes
from apps.organizations import services as organizations

pytestmark = pytest.mark.django_db

CLAIM = "/api/v1/jobs/claim/"
KIND = "nightly-train"


def submit(actor: Actor, kind: str = KIND, **wishes: Any) -> Job:
    return services.submit_job(kind, {"epochs": 10}, by=actor, label=f"{kind} job", wishes=Wishes(**wishes))


def claim(client: Any, *kinds: str, **told: Any) -> Any:
    return client.post(CLAIM, {"kinds": kinds or [KIND], "worker": "gpu-1", **told})


def tell(client: Any, job: Any, what: str, **told: Any) -> Any:
    """What the worker of the job's current attempt says, as it was answered when it took it."""
    return client.post(f"/api/v1/jobs/{job['id']}/{what}/", {"attempt": job["attempt"], **told})


def end_lease(job: Any) -> None:
    """Nothing was heard of the worker for as long as its lease lasts."""
    Job.objects.filter(pk=job["id"]).update(lease_until=Now() - timedelta(seconds=1))


def row(job: Any) -> Job:
    return Job.objects.get(pk=job["id"])


@pytest.fixture
def taken(in_acme: Any, actor: Actor, api_developer: Any) -> Any:
    """A job that gpu-1 works on."""
    submit(actor)
    return claim(api_developer, lease_s=60).json()


def test_a_claimed_job_runs_and_its_history_names_the_worker(taken: Any) -> None:
    job = row(taken)
    assert (taken["status"], taken["attempt"], taken["input"]) == ("running", 1, {"epochs": 10})
    assert timedelta(seconds=59) < job.lease_until - job.started_at <= timedelta(seconds=60)
    assert list(job.transitions.values_list("status", "worker")) == [("pending", ""), ("running", "gpu-1")]
    worker = OutsideWorker.objects.get()
    assert (worker.name, worker.kinds) == ("gpu-1", [KIND])


def test_nothing_is_claimed_twice_and_nothing_of_another_kind(in_acme: Any, actor: Actor, api_developer: Any) -> None:
    submit(actor)
    submit(actor, "score")
    assert claim(api_developer).status_code == 200
    empty = claim(api_developer)
    assert (empty.status_code, empty.content) == (204, b"")
    assert claim(api_developer, KIND, "score").json()["kind"] == "score"


def test_the_most_urgent_goes_first_and_then_the_oldest(in_acme: Any, actor: Actor, api_developer: Any) -> None:
    ids = [submit(actor, priority=priority).pk for priority in (5, 5, 9, 0)]
    claimed = [claim(api_developer).json()["id"] for _ in ids]
    assert claimed == [str(ids[number]) for number in (2, 0, 1, 3)]


def test_what_is_not_due_or_waits_is_not_claimed(in_acme: Any, actor: Actor, api_developer: Any) -> None:
    first = submit(actor, "other")
    submit(actor, run_at=timezone.now() + timedelta(hours=1))
    submit(actor, depends_on=[first.pk])
    assert claim(api_developer).status_code == 204


def test_nothing_is_taken_from_a_drained_queue(in_acme: Any, actor: Actor, api_developer: Any) -> None:
    submit(actor)
    Queue.objects.update_or_create(name="outside", defaults={"drained_at": timezone.now()})
    assert claim(api_developer).status_code == 204


def test_a_heartbeat_keeps_the_lease_and_tells_how_far_the_work_is(taken: Any, api_developer: Any) -> None:
    Job.objects.filter(pk=taken["id"]).update(lease_until=Now() + timedelta(seconds=1))
    answer = tell(api_developer, taken, "heartbeat", progress=0.4, step="epoch 4/10").json()
    job = row(taken)
    assert (answer["cancel_requested"], answer["timed_out"]) == (False, False)
    assert job.lease_until > timezone.now() + timedelta(seconds=50)
    assert (job.progress, job.step) == (0.4, "epoch 4/10")
    tell(api_developer, taken, "heartbeat")
    assert row(taken).step == "epoch 4/10"


def test_a_silent_workers_job_is_anothers_and_its_late_words_are_refused(taken: Any, api_developer: Any) -> None:
    end_lease(taken)
    sweeping.sweep()
    again = claim(api_developer, worker="gpu-2").json()
    assert (again["id"], again["attempt"], again["worker"]) == (taken["id"], 2, "gpu-2")
    words: list[tuple[str, dict[str, Any]]] = [
        ("heartbeat", {"progress": 1}),
        ("log", {"lines": [{"text": "late"}]}),
        ("complete", {"result": {"stale": True}}),
        ("fail", {"message": "late"}),
        ("release", {}),
    ]
    for what, told in words:
        answer = tell(api_developer, taken, what, **told)
        assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost"), what
    assert tell(api_developer, again, "complete", result={"auc": 0.9}).json()["result"] == {"auc": 0.9}
    assert not JobLogLine.objects.exists()


def test_a_late_worker_goes_on_as_long_as_nobody_else_took_its_job(taken: Any, api_developer: Any) -> None:
    end_lease(taken)
    assert tell(api_developer, taken, "heartbeat").status_code == 200
    sweeping.sweep()
    assert tell(api_developer, taken, "complete").json()["status"] == "succeeded"


def test_a_lost_answer_does_not_turn_a_success_into_an_error(taken: Any, api_developer: Any) -> None:
    assert tell(api_developer, taken, "complete", result={"auc": 0.9}).status_code == 200
    again = tell(api_developer, taken, "complete", result={"auc": 0.1})
    assert (again.status_code, again.json()["result"]) == (200, {"auc": 0.9})
    assert row(taken).transitions.count() == 3


def test_a_failed_attempt_is_tried_again_and_the_last_one_is_the_end(
    in_acme: Any, actor: Actor, api_developer: Any
) -> None:
    submit(actor, max_attempts=2)
    told = {"code": "cuda_oom", "message": "out of memory", "error_class": "CudaError", "traceback": "line 1\n line 2"}
    first = claim(api_developer).json()
    answer = tell(api_developer, first, "fail", retry_after_s=0, **told).json()
    assert (answer["status"], answer["error_code"], answer["error_class"]) == ("retrying", "cuda_oom", "CudaError")
    second = claim(api_developer).json()
    assert tell(api_developer, second, "fail", **told).json()["status"] == "dead"
    assert row(first).traceback == "line 1\n line 2"


def test_a_failure_waits_for_its_back_off_and_a_final_one_is_the_end(
    in_acme: Any, actor: Actor, api_developer: Any
) -> None:
    later, never = submit(actor), submit(actor)
    tell(api_developer, claim(api_developer).json(), "fail", message="busy", retry_after_s=600)
    later.refresh_from_db()
    assert later.ready_at is None
    assert later.run_at > timezone.now() + timedelta(minutes=9)
    tell(api_developer, claim(api_developer).json(), "fail", message="no such table", is_final=True)
    never.refresh_from_db()
    assert never.status == "failed"


def test_a_job_that_is_given_back_costs_no_attempt(in_acme: Any, actor: Actor, api_developer: Any) -> None:
    submit(actor, max_attempts=1)
    answer = tell(api_developer, claim(api_developer).json(), "release").json()
    assert (answer["status"], answer["reason"]) == ("retrying", "Given back by gpu-1")
    again = claim(api_developer).json()
    assert (again["attempt"], again["max_attempts"]) == (2, 2)


@pytest.mark.parametrize("how", ["release", "complete", "fail"])
def test_a_cancelled_job_ends_when_its_worker_stops(how: str, taken: Any, actor: Actor, api_developer: Any) -> None:
    services.cancel_job(row(taken), by=actor)
    assert tell(api_developer, taken, "heartbeat").json()["cancel_requested"] is True
    told = {"message": "stopped", "is_final": True} if how == "fail" else {}
    assert tell(api_developer, taken, how, **told).json()["status"] == "cancelled"


def test_a_cancelled_job_whose_worker_is_gone_ends_with_its_lease(taken: Any, actor: Actor) -> None:
    services.cancel_job(row(taken), by=actor)
    end_lease(taken)
    sweeping.sweep()
    assert row(taken).status == "cancelled"


def test_a_worker_that_goes_on_after_a_cancel_loses_its_job_with_its_lease(
    taken: Any, actor: Actor, api_developer: Any
) -> None:
    services.cancel_job(row(taken), by=actor)
    soon = timezone.now() + timedelta(seconds=1)
    Job.objects.filter(pk=taken["id"]).update(lease_until=soon)
    assert tell(api_developer, taken, "heartbeat", progress=0.5).json()["cancel_requested"] is True
    assert (row(taken).lease_until, row(taken).progress) == (soon, 0.5)
    end_lease(taken)
    sweeping.sweep()
    assert row(taken).status == "cancelled"
    assert tell(api_developer, taken, "heartbeat").json()["code"] == "lease_lost"


def test_no_lease_is_kept_beyond_the_time_limit(in_acme: Any, actor: Actor, api_developer: Any) -> None:
    submit(actor, time_limit_s=100)
    job = claim(api_developer, lease_s=60).json()
    Job.objects.filter(pk=job["id"]).update(started_at=F("started_at") - timedelta(seconds=80))
    answer = tell(api_developer, job, "heartbeat").json()
    assert row(job).lease_until == row(job).time_is_up_at
    assert answer["timed_out"] is False
    Job.objects.filter(pk=job["id"]).update(started_at=F("started_at") - timedelta(seconds=80))
    assert tell(api_developer, job, "heartbeat").json()["timed_out"] is True
    sweeping.sweep()
    assert (row(job).status, row(job).error_code) == ("failed", "job_timed_out")


def test_a_worker_that_was_lost_before_the_time_limit_is_replaced(taken: Any) -> None:
    end_lease(taken)
    sweeping.sweep()
    assert (row(taken).status, row(taken).error_code) == ("retrying", "worker_lost")


def test_log_lines_keep_their_order_and_their_fields(taken: Any, api_developer: Any) -> None:
    lines = [{"text": f"line {number}", "level": "warning", "fields": {"n": number}} for number in range(100)]
    assert tell(api_developer, taken, "log", lines=lines).status_code == 204
    shown = api_developer.get(f"/api/v1/jobs/{taken['id']}/log/", {"page_size": 200}).json()["results"]
    assert [(line["text"], line["fields"]["n"]) for line in reversed(shown)] == [(f"line {n}", n) for n in range(100)]
    assert tell(api_developer, taken, "log", lines=lines * 2).status_code == 422


def test_a_job_that_its_own_process_starts_dies_with_it(in_acme: Any, api_developer: Any) -> None:
    answer = api_developer.post(
        "/api/v1/jobs/start/", {"kind": KIND, "name": "tonight", "worker": "laptop", "tags": ["nightly"]}
    )
    job = answer.json()
    assert (answer.status_code, job["status"], job["worker"], job["tags"]) == (201, "running", "laptop", ["nightly"])
    assert answer["Location"].endswith(f"/api/v1/jobs/{job['id']}/")
    end_lease(job)
    sweeping.sweep()
    assert (row(job).status, row(job).error_code) == ("dead", "worker_lost")


def test_kinds_of_ours_are_neither_claimed_nor_started_nor_ended(
    in_acme: Any, actor: Actor, api_developer: Any
) -> None:
    ours = services.submit_job("training.run", {}, by=actor, label="ours")
    assert claim(api_developer, "training.run").json()["code"] == "kind_not_outside"
    start = api_developer.post("/api/v1/jobs/start/", {"kind": "training.run", "worker": "x"})
    assert start.json()["code"] == "kind_not_outside"
    Job.objects.filter(pk=ours.pk).update(status="running", attempt=1, lease_until=Now() + timedelta(minutes=1))
    answer = tell(api_developer, {"id": ours.pk, "attempt": 1}, "complete")
    assert (answer.status_code, answer.json()["code"]) == (409, "kind_not_outside")


def test_another_organizations_job_is_not_there(taken: Any, api_outsider: Any, globex: Any) -> None:
    for what in ("heartbeat", "log", "complete", "fail", "release"):
        assert tell(api_outsider, taken, what).status_code == 404, what
    with tenancy.scope(globex.pk):
        assert claim(api_outsider).status_code == 204


def test_nothing_that_is_not_json_for_postgresql_is_taken(taken: Any, api_developer: Any) -> None:
    assert tell(api_developer, taken, "complete", result={"a": "nul \u0000"}).status_code == 422
    assert tell(api_developer, taken, "complete", result={"a": "x" * 1_000_001}).status_code == 422
    assert tell(api_developer, taken, "complete", result=[1]).status_code == 422
    assert tell(api_developer, {**taken, "attempt": 2**40}, "complete").status_code == 422
    assert tell(api_developer, {**taken, "id": uuid4()}, "complete").status_code == 404


def token_with(scope: str, actor: Actor) -> APIClient:
    _, text = organizations.create_token(scope, [scope], by=actor)
    client = APIClient()
    client.default_format = "json"
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def test_a_token_that_may_only_work_works_and_does_nothing_else(in_acme: Any, actor: Actor) -> None:
    worker = token_with("jobs.work", actor)
    submit(actor)
    job = claim(worker).json()
    assert tell(worker, job, "heartbeat").status_code == 200
    assert tell(worker, job, "complete").status_code == 200
    assert worker.get("/api/v1/jobs/").status_code == 403
    assert worker.post("/api/v1/jobs/", {"kind": KIND}).status_code == 403
    assert worker.post(f"/api/v1/jobs/{job['id']}/cancel/").status_code == 403
    assert claim(token_with("jobs.write", actor)).status_code == 403


def test_a_worker_is_written_down_and_forgotten_after_a_week(in_acme: Any, api_developer: Any) -> None:
    claim(api_developer, worker="old")
    OutsideWorker.objects.update(last_seen_at=Now() - timedelta(days=8))
    claim(api_developer, KIND, "score", worker="new")
    claim(api_developer, "score", worker="new")
    assert [(one.name, one.kinds) for one in OutsideWorker.objects.all()] == [("new", [KIND, "score"])]


def test_who_waits_hears_of_one_kind_of_one_organization(
    in_acme: Any, actor: Actor, api_developer: Any, monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(doorbell, "ring", lambda *names: rung.extend(names))
    bell = f"outside:{in_acme.pk}:{KIND}"
    with django_capture_on_commit_callbacks(execute=True):
        first = submit(actor)
        submit(actor, depends_on=[first.pk])
        submit(actor, run_at=timezone.now() + timedelta(minutes=1))
    assert rung == [bell]
    rung.clear()
    with django_capture_on_commit_callbacks(execute=True):
        tell(api_developer, claim(api_developer).json(), "complete")
    assert rung == [bell]
    rung.clear()
    Job.objects.filter(ready_at=None).update(run_at=Now())
    sweeping.promote()
    assert rung == [bell]


def test_a_call_that_may_wait_says_for_what(in_acme: Any, api_developer: Any) -> None:
    assert "X-Held-For" not in claim(api_developer).headers
    answer = claim(api_developer, wait_s=20)
    assert answer["X-Held-For"] == f"jobs:bell:outside:{in_acme.pk}:{KIND}"
    assert answer["X-Held-Seconds"] == "20"


def test_nothing_to_do_is_not_what_a_repeated_claim_is_answered(in_acme: Any, actor: Actor, api_developer: Any) -> None:
    key = {"headers": {"Idempotency-Key": "poll-1"}}
    body = {"kinds": [KIND], "worker": "gpu-1", "wait_s": 20}
    assert api_developer.post(CLAIM, body, **key).status_code == 204
    submit(actor)
    first = api_developer.post(CLAIM, body, **key)
    again = api_developer.post(CLAIM, body, **key)
    assert first.status_code == 200
    assert again.json() == first.json()
