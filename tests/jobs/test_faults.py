"""What a job and the sweeper do while something of theirs fails."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs import dispatch, kinds, running, services, sweeping, telling
from apps.jobs.models import Job, JobLogLine
from apps.jobs.running import RunningJob
from tests import database
from tests.isolation import DATABASE
from tests.jobs.test_dependencies import in_thread
from tests.working import run_next, take

KIND = "test.faults"


@pytest.fixture(autouse=True)
def _forget_the_kind() -> Iterator[None]:
    yield
    kinds._kinds.pop(KIND, None)


def lose_the_connection() -> None:
    """As when PostgreSQL is restarted: nobody knows before the next statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with database.admin(DATABASE) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def submit(actor: Actor) -> Job:
    return services.submit_job(KIND, {}, by=actor, label="a job")


def ended(job: Job) -> tuple[str, int]:
    job.refresh_from_db()
    return job.status, job.attempt


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wanted", ["progress", "log", "commit", "return", "raise"])
def test_p2_an_attempt_outlives_the_loss_of_its_connection(in_acme: Any, actor: Actor, wanted: str) -> None:
    @kinds.kind(KIND, final=(ValueError,))
    def handler(job: RunningJob) -> None:
        lose_the_connection()
        match wanted:
            case "progress":
                job.progress(0.5, "still here")
            case "log":
                job.log("still here")
            case "commit":
                with job.commit() as result:
                    result["written"] = True
            case "raise":
                raise ValueError("its own failure")

    job = submit(actor)
    run_next()
    assert ended(job) == ("failed" if wanted == "raise" else "succeeded", 1)
    assert JobLogLine.objects.count() == (wanted == "log")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("value", [object(), math.nan, "\x00", "\ud800"], ids=["object", "nan", "nul", "surrogate"])
def test_a_result_that_cannot_be_kept_fails_its_attempt_and_not_its_worker(
    in_acme: Any, actor: Actor, value: Any
) -> None:
    kinds.kind(KIND)(lambda job: {"value": value})
    job = submit(actor)
    with tenancy.no_scope():
        taker = dispatch.Taker(["default"], "worker-1")
        claim = taker.claim()
        assert claim is not None
        assert running.execute(claim, taker=taker) is None
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("retrying", "unexpected")
    assert job.traceback


@pytest.mark.django_db(transaction=True)
def test_an_attempt_gives_up_when_the_database_stays_away(in_acme: Any, actor: Actor, settings: Any) -> None:
    settings.JOB_LEASE_SECONDS = 1
    tries = []

    def away() -> None:
        tries.append(1)
        raise OperationalError("away")

    kinds.kind(KIND)(lambda running: running.persist(away))
    job = submit(actor)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.error_class) == ("retrying", "OperationalError")
    assert len(tries) > 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("left_s", [-1, 60])
def test_an_effect_that_takes_long_to_write_keeps_no_lease_from_being_kept(
    in_acme: Any, actor: Actor, left_s: int
) -> None:
    """One thread keeps the leases of all that a process runs."""
    kinds.kind(KIND)(lambda job: None)
    writes, other = submit(actor), submit(actor)
    for _ in (writes, other):
        assert take()
    soon = timezone.now() + timedelta(seconds=1)
    Job.objects.filter(pk=other.pk).update(lease_until=soon)
    Job.objects.filter(pk=writes.pk).update(lease_until=timezone.now() + timedelta(seconds=left_s))
    kept: list[Any] = []
    failed: list[BaseException] = []
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=writes.pk)
        beating = in_thread(lambda: kept.append(dispatch.beat("worker-1", {writes.pk: 1, other.pk: 1})), failed)
        beating.join(5)
        has_waited = beating.is_alive()
    beating.join()
    assert (has_waited, failed, kept) == (False, [], [{writes.pk: False, other.pk: False}])
    other.refresh_from_db()
    assert other.lease_until > soon
    with tenancy.no_scope():
        ours = dispatch.beat("worker-1", {writes.pk: 1, other.pk: 1})
    assert (writes.pk in ours) == (left_s > 0), "nobody writes any more, so that its lease counts"


@pytest.mark.django_db
def test_one_organization_that_cannot_be_told_does_not_keep_the_others(
    acme: Any, globex: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    for organization in (acme, globex):
        with tenancy.scope(organization.pk):
            jobs.append(services.cancel_job(submit(actor), by=actor))
    tell_of = telling._tell_of

    def fail_for_one(organization_id: Any) -> int:
        if organization_id == min(acme.pk, globex.pk):
            raise RuntimeError("whoever hears of it fails")
        return tell_of(organization_id)

    monkeypatch.setattr(telling, "_tell_of", fail_for_one)
    assert sweeping.sweep()["tell"] == 1


@pytest.mark.django_db
def test_a_step_that_fails_does_not_end_the_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> list[str]:
        raise RuntimeError("a defect")

    monkeypatch.setattr(dispatch, "promote", fail)
    assert sweeping.sweep()["promote"] == 0
