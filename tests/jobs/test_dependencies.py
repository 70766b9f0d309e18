"""Jobs that wait for others: freed when those succeed, ended when they do not, put back when those are retried."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.jobs import dispatch, errors, kinds, services, sweeping
from apps.jobs.models import Job, JobDependency
from apps.jobs.services import Failure, Wishes
from tests.working import run_all, run_next, take

pytestmark = pytest.mark.django_db

Submit = Callable[..., Job]


@pytest.fixture
def submit(actor: Actor) -> Iterator[Submit]:
    kinds.kind("test.step", max_attempts=1)(lambda job: None)

    def submitted(*needs: Job, label: str = "a step") -> Job:
        wishes = Wishes(depends_on=[job.pk for job in needs])
        return services.submit_job("test.step", {}, by=actor, label=label, wishes=wishes)

    yield submitted
    kinds._kinds.pop("test.step")


def status_of(*jobs: Job) -> list[str]:
    found = dict(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("pk", "status"))
    return [found[job.pk] for job in jobs]


def fail_next() -> None:
    claim = take()
    assert claim is not None
    with transaction.atomic():
        services.fail(Job.objects.get(pk=claim.job_id), Failure("no_use", "It is of no use"))


def swept(times: int = 1) -> None:
    with tenancy.no_scope():
        for _ in range(times):
            sweeping.end_doomed()


def in_thread(act: Callable[[], Any], errors_seen: list[BaseException]) -> threading.Thread:
    """Runs in a connection of its own, in the same tenant."""

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - the test asks for it
            errors_seen.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=copy_context().run, args=(run,))
    thread.start()
    return thread


def waits_for_a_lock() -> bool:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()")
        return bool(cursor.fetchone()[0])


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_job_waits_until_what_it_needs_has_succeeded(in_acme: Any, submit: Submit) -> None:
    first = submit()
    second = submit(first)
    assert (second.waits_for, second.ready_at) == (1, None)
    assert run_all("default") == 2
    assert status_of(first, second) == ["succeeded", "succeeded"]


def test_a_job_that_needs_what_has_succeeded_is_ready_at_once(in_acme: Any, submit: Submit) -> None:
    first = submit()
    run_next()
    assert submit(first).waits_for == 0
    assert take() is not None


def test_a_diamond_is_done_from_its_top_to_its_bottom(in_acme: Any, submit: Submit) -> None:
    top = submit(label="top")
    left, right = submit(top, label="left"), submit(top, label="right")
    bottom = submit(left, right, top, label="bottom")
    assert bottom.waits_for == 3
    order = [Job.objects.get(pk=run_next().job_id).label for _ in range(4)]
    assert (order[0], set(order[1:3]), order[3]) == ("top", {"left", "right"}, "bottom")


def test_a_chain_of_300_is_done_in_its_order(in_acme: Any, submit: Submit) -> None:
    chain = [submit()]
    for _ in range(299):
        chain.append(submit(chain[-1]))
    done = [run_next().job_id for _ in chain]
    assert done == [job.pk for job in chain]


def test_what_waits_for_a_time_and_a_job_waits_for_both(in_acme: Any, submit: Submit, actor: Actor) -> None:
    first = submit()
    wishes = Wishes(depends_on=[first.pk], run_at=timezone.now() + timedelta(hours=1))
    later = services.submit_job("test.step", {}, by=actor, label="later", wishes=wishes)
    run_next()
    later.refresh_from_db()
    assert (later.waits_for, later.ready_at) == (0, None)
    Job.objects.filter(pk=later.pk).update(run_at=timezone.now())
    with tenancy.no_scope():
        sweeping.promote()
    assert run_next().job_id == later.pk


def test_what_needs_a_job_that_fails_fails_level_by_level(in_acme: Any, submit: Submit) -> None:
    first = submit()
    second = submit(first)
    third = submit(second)
    fail_next()
    assert take() is None
    swept()
    assert status_of(first, second, third) == ["failed", "failed", "pending"]
    swept()
    assert status_of(third) == ["failed"]
    third.refresh_from_db()
    assert (third.error_code, third.error_class) == ("dependency_failed", "DependencyFailed")
    assert str(second.pk) in third.error_message


@pytest.mark.parametrize("end", ["cancelled", "dead"])
def test_what_needs_a_job_that_ends_otherwise_fails_too(in_acme: Any, submit: Submit, actor: Actor, end: str) -> None:
    first = submit()
    second = submit(first)
    if end == "cancelled":
        services.cancel_job(first, by=actor)
    else:
        claim = take()
        assert claim is not None
        with transaction.atomic():
            services.retry_later(Job.objects.get(pk=claim.job_id), Failure("x", "x"), after=timedelta(0))
    swept()
    assert status_of(first, second) == [end, "failed"]


def test_retrying_the_first_puts_all_back_that_ended_because_of_it(in_acme: Any, submit: Submit, actor: Actor) -> None:
    first = submit()
    second = submit(first)
    third = submit(second)
    fail_next()
    swept(1)
    # The third is doomed by now, and not ended yet.
    services.retry_job(first, by=actor)
    assert status_of(first, second, third) == ["pending", "pending", "pending"]
    assert run_all("default") == 3
    assert status_of(first, second, third) == ["succeeded", "succeeded", "succeeded"]


def test_what_two_kept_from_its_turn_is_put_back_with_the_last_of_them(
    in_acme: Any, submit: Submit, actor: Actor
) -> None:
    first, second = submit(), submit()
    third = submit(first, second)
    fourth = submit(third)
    fail_next()
    fail_next()
    swept(2)
    services.retry_job(first, by=actor)
    assert status_of(first, second, third, fourth) == ["pending", "failed", "failed", "failed"]
    services.retry_job(second, by=actor)
    assert status_of(second, third, fourth) == ["pending", "pending", "pending"]
    assert run_all("default") == 4
    assert status_of(first, second, third, fourth) == ["succeeded"] * 4


def test_what_waits_in_vain_for_a_second_one_does_not_wait_for_ever(in_acme: Any, submit: Submit, actor: Actor) -> None:
    first, second = submit(), submit()
    third = submit(first, second)
    fail_next()
    fail_next()
    services.retry_job(first, by=actor)  # before anybody ended the third
    swept()
    assert status_of(third) == ["failed"]


def test_what_is_put_back_by_several_ways_waits_for_all_of_them(in_acme: Any, submit: Submit, actor: Actor) -> None:
    top = submit()
    long = submit(submit(top))
    bottom = submit(top, long)
    fail_next()
    swept(3)
    services.retry_job(top, by=actor)
    bottom.refresh_from_db()
    assert (bottom.status, bottom.waits_for) == ("pending", 2)
    assert run_all("default") == 4


def test_what_was_cancelled_by_hand_is_not_put_back(in_acme: Any, submit: Submit, actor: Actor) -> None:
    first = submit()
    second = submit(first)
    services.cancel_job(second, by=actor)
    fail_next()
    swept()
    services.retry_job(first, by=actor)
    assert status_of(first, second) == ["pending", "cancelled"]


def test_a_job_is_not_retried_before_what_it_needs(in_acme: Any, submit: Submit, actor: Actor) -> None:
    first = submit()
    second = submit(first)
    fail_next()
    swept()
    with pytest.raises(errors.DependencyEndedBadly):
        services.retry_job(second, by=actor)
    with pytest.raises(errors.DependencyEndedBadly):
        submit(first)


def test_a_retried_job_begins_with_a_clean_slate(in_acme: Any, submit: Submit, actor: Actor) -> None:
    job = submit()
    fail_next()
    job = services.retry_job(job, by=actor)
    told = (job.status, job.error_code, job.error_message, job.worker, job.finished_at, job.told_at, job.attempt)
    assert told == ("pending", "", "", "", None, None, 1)
    assert job.max_attempts == 2
    assert job.reason == f"Retried by {actor.label}"
    assert list(job.transitions.values_list("status", flat=True)) == ["pending", "running", "failed", "pending"]


def test_nobody_waits_for_itself_because_only_what_exists_can_be_named(
    in_acme: Any, submit: Submit, actor: Actor
) -> None:
    with pytest.raises(errors.DependencyUnknown):
        services.submit_job("test.step", {}, by=actor, label="x", wishes=Wishes(depends_on=[uuid7()]))
    job = submit(submit())
    edges = JobDependency.objects.filter(job=job).values_list("needs_id", flat=True)
    assert all(needed < job.pk for needed in edges)


def _dependents(first: Job, number: int) -> Sequence[Job]:
    jobs = [Job(kind="test.step", queue="default", label=f"step {n}", waits_for=1) for n in range(number)]
    Job.objects.bulk_create(jobs)
    JobDependency.objects.bulk_create(JobDependency(job=job, needs=first) for job in jobs)
    Job.objects.filter(pk=first.pk).update(has_dependents=True)
    return jobs


def test_a_thousand_dependents_are_freed_doomed_and_put_back_by_a_few_statements(
    in_acme: Any, submit: Submit, actor: Actor, django_assert_max_num_queries: Any
) -> None:
    first = submit()
    _dependents(first, 1000)
    with django_assert_max_num_queries(20):
        fail_next()
    assert Job.objects.filter(doomed_by_id=first.pk).count() == 1000
    with django_assert_max_num_queries(40):
        services.retry_job(first, by=actor)
    assert Job.objects.filter(doomed_by_id=None, waits_for=1, ready_at=None).count() == 1000
    claim = take()
    assert claim is not None
    with django_assert_max_num_queries(20), transaction.atomic():
        services.succeed(Job.objects.get(pk=claim.job_id), None)
    assert Job.objects.filter(waits_for=0, ready_at__isnull=False, status="pending").count() == 1000


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_submitted_while_what_it_needs_ends_is_freed(in_acme: Any, submit: Submit) -> None:
    """The end commits second: it waits for the submission, and sees the new dependent."""
    first = submit()
    claim = take()
    assert claim is not None
    seen: list[BaseException] = []

    def end() -> None:
        with tenancy.no_scope():
            assert dispatch.Taker(["default"], "worker-1").succeed_and_claim(claim, None, go_on=False)

    with transaction.atomic():
        second = submit(first)
        ending = in_thread(end, seen)
        until(waits_for_a_lock)
    ending.join()
    assert seen == []
    second.refresh_from_db()
    assert (second.waits_for, second.ready_at is not None) == (0, True)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_submitted_while_what_it_needs_has_just_ended_is_ready(in_acme: Any, submit: Submit) -> None:
    """The submission commits second: it waits for the end, and sees it."""
    first = submit()
    claim = take()
    assert claim is not None
    seen: list[BaseException] = []
    submitted: list[Job] = []
    with transaction.atomic():
        services.succeed(Job.objects.select_for_update().get(pk=first.pk), None)
        submitting = in_thread(lambda: submitted.append(submit(first)), seen)
        until(waits_for_a_lock)
    submitting.join()
    assert seen == []
    assert (submitted[0].waits_for, take() is not None) == (0, True)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_submitted_while_what_it_needs_fails_is_refused(in_acme: Any, submit: Submit) -> None:
    first = submit()
    take()
    seen: list[BaseException] = []
    with transaction.atomic():
        services.fail(Job.objects.select_for_update().get(pk=first.pk), Failure("x", "x"))
        submitting = in_thread(lambda: submit(first), seen)
        until(waits_for_a_lock)
    submitting.join()
    assert [type(one) for one in seen] == [errors.DependencyEndedBadly]
    assert Job.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_retrying_a_job_while_what_it_needs_ends_is_no_deadlock(in_acme: Any, submit: Submit, actor: Actor) -> None:
    first = submit()
    second = submit(first)
    services.cancel_job(second, by=actor)
    take()
    seen: list[BaseException] = []
    with transaction.atomic():
        job = Job.objects.select_for_update().get(pk=first.pk)
        retrying = in_thread(lambda: services.retry_job(second, by=actor), seen)
        until(waits_for_a_lock)
        services.succeed(job, None)
    retrying.join()
    assert seen == []
    second.refresh_from_db()
    assert (second.status, second.waits_for) == ("pending", 0)


@pytest.mark.django_db(transaction=True)
def test_two_ends_at_once_free_what_needs_both(in_acme: Any, submit: Submit) -> None:
    pairs = [(submit(), submit()) for _ in range(5)]
    both = [submit(*pair) for pair in pairs]
    claims = [take() for _ in range(10)]
    seen: list[BaseException] = []

    def end(claim: Any) -> None:
        with tenancy.no_scope():
            dispatch.Taker(["default"], "worker-1").succeed_and_claim(claim, None, go_on=False)

    for thread in [in_thread(lambda claim=claim: end(claim), seen) for claim in claims]:
        thread.join()
    assert seen == []
    assert Job.objects.filter(pk__in=[job.pk for job in both], waits_for=0, ready_at__isnull=False).count() == 5
