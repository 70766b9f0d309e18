"""One attempt of a job, and the ways it can end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.db.models.functions import Now

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.errors import DomainError, StorageUnavailable
from apps.jobs import dispatch, errors, kinds, services, sweeping
from apps.jobs.dispatch import Taker
from apps.jobs.models import Job, JobLogLine
from apps.jobs.running import RunningJob
from tests.working import run, run_next, take

pytestmark = pytest.mark.django_db


class NoUse(DomainError):
    code = "no_use"
    detail = "Trying again would not help."


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Give the kind `test.kind` a handler for one test."""

    def _define(handler: Any, **options: Any) -> None:
        kinds.kind("test.kind", **options)(handler)

    yield _define
    kinds._kinds.pop("test.kind", None)


def submit(actor: Actor) -> Job:
    return services.submit_job("test.kind", {"n": 1}, by=actor, label="a job")


def history(job: Job) -> list[str]:
    return list(job.transitions.values_list("status", flat=True))


def test_a_job_runs_and_its_history_tells_it(in_acme: Any, actor: Actor, define: Any) -> None:
    def handler(job: RunningJob) -> dict[str, int]:
        job.progress(0.5, "half")
        job.log("seen", n=job.input["n"])
        return {"answer": 42}

    define(handler)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.result, job.progress, job.attempt) == ("succeeded", {"answer": 42}, 1, 1)
    assert history(job) == ["pending", "running", "succeeded"]
    assert JobLogLine.objects.get().fields == {"n": 1}


def test_what_a_handler_logs_carries_the_request_that_asked_for_it(in_acme: Any, actor: Actor, define: Any) -> None:
    seen: dict[str, Any] = {}
    define(lambda job: seen.update(structlog.contextvars.get_contextvars()))
    job = submit(actor)
    run_next()
    assert (seen["request_id"], seen["job"]) == (actor.request_id, str(job.pk))


def test_nothing_is_claimed_twice(in_acme: Any, actor: Actor, define: Any) -> None:
    define(lambda job: None)
    submit(actor)
    assert take() is not None
    assert take(worker="worker-2") is None


def test_a_refusal_ends_the_job_and_a_crash_is_tried_again(in_acme: Any, actor: Actor, define: Any) -> None:
    def refuse(job: RunningJob) -> None:
        raise NoUse

    define(refuse)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "no_use")

    define(lambda job: 1 / 0, max_attempts=2)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("retrying", 1)
    assert "ZeroDivisionError" in job.traceback
    Job.objects.filter(pk=job.pk).update(run_at=Now())
    sweeping.promote()
    run_next()
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("dead", 2)


def test_what_is_only_away_is_tried_again(in_acme: Any, actor: Actor, define: Any) -> None:
    def unavailable(job: RunningJob) -> None:
        raise StorageUnavailable

    define(unavailable)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("retrying", "storage_unavailable")


def test_a_waiting_job_is_cancelled_at_once(in_acme: Any, actor: Actor, define: Any) -> None:
    define(lambda job: None)
    job = services.cancel_job(submit(actor), by=actor)
    assert job.status == "cancelled"
    assert take() is None
    with pytest.raises(errors.JobAlreadyFinished):
        services.cancel_job(job, by=actor)


def test_a_cancelled_job_cannot_commit(in_acme: Any, actor: Actor, define: Any) -> None:
    def handler(job: RunningJob) -> None:
        services.cancel_job(Job.objects.get(pk=job.id), by=actor)
        with job.commit() as result:
            result["written"] = True

    define(handler)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.result) == ("cancelled", None)


def test_a_cancelled_job_whose_worker_is_stopped_is_not_begun_anew(in_acme: Any, actor: Actor, define: Any) -> None:
    def handler(job: RunningJob) -> None:
        services.cancel_job(Job.objects.get(pk=job.id), by=actor)
        raise errors.JobInterrupted

    define(handler)
    job = submit(actor)
    run_next()
    assert history(job) == ["pending", "running", "cancelled"]


def test_an_expired_lease_returns_the_job_to_the_queue_and_the_stale_result_is_refused(
    in_acme: Any, actor: Actor, define: Any
) -> None:
    effects = []

    def slow(job: RunningJob) -> None:
        Job.objects.filter(pk=job.id).update(lease_until=Now() - timedelta(seconds=1))
        assert sweeping.sweep()["return_lost"] == 1
        second = take(worker="worker-2")
        assert second is not None
        assert second.attempt == 2
        with job.commit():
            effects.append(job.attempt)

    define(slow)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert effects == []
    assert (job.status, job.attempt, job.worker) == ("running", 2, "worker-2")
    assert history(job) == ["pending", "running", "retrying", "running"]


def test_a_claim_that_the_database_forgot_in_a_crash_is_fenced_off_from_the_one_that_follows(
    in_acme: Any, actor: Actor, define: Any
) -> None:
    """Both have the same attempt, because the first one was never written to the disk."""
    effects: list[str] = []

    def slow(job: RunningJob) -> None:
        rows = Job.objects.filter(pk=job.id)
        rows.update(status="pending", attempt=0, worker="", lease_until=None, ready_at=Now())
        second = take(worker="worker-2")
        assert second is not None
        assert second.attempt == job.attempt == 1
        with tenancy.no_scope():
            assert job.id not in dispatch.beat("worker-1", {job.id: 1})
            assert Taker([], "worker-1").succeed_and_claim(job.claim, None, go_on=False) is None
        with job.commit():
            effects.append(job.claim.worker)

    define(slow)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (effects, job.status, job.worker) == ([], "running", "worker-2")


def test_a_worker_that_slept_through_its_lease_does_not_start(
    in_acme: Any, actor: Actor, define: Any, settings: Any
) -> None:
    started = []
    define(lambda job: started.append(job.attempt))
    submit(actor)
    first = take()
    assert first is not None
    Job.objects.update(lease_until=Now() - timedelta(seconds=1))
    sweeping.sweep()
    second = take(worker="worker-2")
    assert second is not None
    run(replace(first, taken_at=first.taken_at - settings.JOB_LEASE_SECONDS))
    run(second)
    assert started == [2]


def test_an_effect_and_its_success_are_written_together(in_acme: Any, actor: Actor, define: Any) -> None:
    def handler(job: RunningJob) -> None:
        with job.commit() as result:
            result["rows"] = JobLogLine.objects.create(job_id=job.id, attempt=1, text="effect").attempt
            raise RuntimeError("the worker dies here")

    define(handler)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert job.status == "retrying"
    assert not JobLogLine.objects.exists()


def test_a_silent_worker_kills_a_job_after_its_last_attempt(in_acme: Any, actor: Actor, define: Any) -> None:
    define(lambda job: None, max_attempts=1)
    job = submit(actor)
    take()
    Job.objects.update(lease_until=Now() - timedelta(seconds=1))
    sweeping.sweep()
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("dead", "worker_lost")


def test_a_dead_job_can_be_run_again(in_acme: Any, actor: Actor, define: Any) -> None:
    define(lambda job: 1 / 0, max_attempts=1)
    job = submit(actor)
    run_next()
    define(lambda job: {"now": "fine"}, max_attempts=1)
    services.retry_job(job, by=actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.attempt, job.error_message) == ("succeeded", 2, "")
    with pytest.raises(errors.JobNotRetryable):
        services.retry_job(job, by=actor)


def test_a_handler_that_outstays_its_time_limit_is_stopped(in_acme: Any, actor: Actor, define: Any) -> None:
    def handler(job: RunningJob) -> None:
        job.started -= 10
        job.progress(0.1, "still here")

    define(handler, time_limit_s=5)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "job_timed_out")


def test_one_job_that_cannot_be_returned_does_not_keep_the_others(
    in_acme: Any, actor: Actor, define: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(lambda job: None)
    poisoned, other = submit(actor), submit(actor)
    take()
    take()
    Job.objects.filter(pk=poisoned.pk).update(lease_until=Now() - timedelta(seconds=9))
    Job.objects.filter(pk=other.pk).update(lease_until=Now() - timedelta(seconds=1))
    retry_later = services.retry_later

    def fail_for_one(job: Job, *args: Any, **kwargs: Any) -> Job:
        if job.pk == poisoned.pk:
            raise RuntimeError("whoever hears of it fails")
        return retry_later(job, *args, **kwargs)

    monkeypatch.setattr(services, "retry_later", fail_for_one)
    sweeping.sweep()
    other.refresh_from_db()
    assert other.status == "retrying"


def test_what_a_dead_worker_held_goes_back_at_once_and_nobody_elses(in_acme: Any, actor: Actor, define: Any) -> None:
    define(lambda job: None)
    lost, kept = submit(actor), submit(actor)
    take(worker="runner-1:17")
    take(worker="runner-1:18")
    dispatch.lose("runner-1:17")
    sweeping.return_lost()
    assert [Job.objects.get(pk=job.pk).status for job in (lost, kept)] == ["retrying", "running"]


def test_the_history_says_who_had_a_running_job_stopped(in_acme: Any, actor: Actor, define: Any) -> None:
    def handler(job: RunningJob) -> None:
        services.cancel_job(Job.objects.get(pk=job.id), by=actor)
        job.stop = errors.JobCancelled()
        job.progress(0.5)

    define(handler)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.reason) == ("cancelled", f"Cancelled by {actor.label}")


def test_the_history_says_who_had_a_job_stopped_that_went_wrong_meanwhile(
    in_acme: Any, actor: Actor, define: Any
) -> None:
    def handler(job: RunningJob) -> None:
        services.cancel_job(Job.objects.get(pk=job.id), by=actor)
        raise RuntimeError("no disk")

    define(handler)
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.reason) == ("cancelled", f"Cancelled by {actor.label}. RuntimeError: no disk")
