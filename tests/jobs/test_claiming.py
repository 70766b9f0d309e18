"""Who gets the next worker: turns between organizations, limits of plans, priorities, and who has to wait."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import SYSTEM
from apps.jobs.dispatch import Claim, Taker
from apps.jobs.models import Job, Queue
from apps.organizations import services as organizations
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db

AT_ONCE = 8


def ready(organization: Any, count: int = 1, **fields: Any) -> list[Job]:
    defaults = {"kind": "test.kind", "queue": "data", "label": "a job", "ready_at": timezone.now()}
    with tenancy.scope(organization.pk):
        return Job.objects.bulk_create([Job(**{**defaults, **fields}) for _ in range(count)])


def limit(organization: Any, plan: str) -> None:
    with tenancy.scope(organization.pk):
        organizations.set_plan(organization, plan=plan, by=SYSTEM)


def end(claim: Claim) -> None:
    with tenancy.scope(claim.organization_id):
        Job.objects.filter(pk=claim.job_id).update(status="succeeded", lease_until=None, finished_at=timezone.now())


def running_count(organization: Any) -> int:
    with tenancy.scope(organization.pk):
        return Job.objects.filter(status="running").count()


def taken(taker: Taker, times: int = 1) -> list[UUID | None]:
    """Whose jobs the taker gets one after the other."""
    claims = [taker.claim() for _ in range(times)]
    return [claim and claim.organization_id for claim in claims]


def at_once(act: Callable[[int], Any]) -> list[Any]:
    """What several threads get that do it together, each by a connection of its own."""
    barrier = threading.Barrier(AT_ONCE)
    results: list[Any] = []

    def run(number: int) -> None:
        try:
            barrier.wait()
            results.append(Context().run(act, number))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == AT_ONCE
    return results


def claim_once(number: int) -> Claim | None:
    return Taker(["data"], f"worker-{number}").claim()


@pytest.mark.django_db(transaction=True)
def test_s7_eight_workers_at_once_never_run_more_than_the_plan_allows_and_no_fewer(acme: Any) -> None:
    limit(acme, "team")
    ready(acme, 60)
    for _ in range(5):
        claims = [claim for claim in at_once(claim_once) if claim]
        assert len(claims) == running_count(acme) == 5
        assert len({claim.job_id for claim in claims}) == 5
        for claim in claims[:2]:
            end(claim)
        assert sum(claim is not None for claim in at_once(claim_once)) == 2
        with tenancy.scope(acme.pk):
            Job.objects.filter(status="running").update(status="succeeded", lease_until=None)


@pytest.mark.django_db(transaction=True)
def test_two_organizations_at_their_limits_keep_no_worker_from_the_other(acme: Any, globex: Any) -> None:
    for organization in (acme, globex):
        limit(organization, "team")
        ready(organization, 60)

    # A worker passes over an organization that another one is looking at, and comes back to it.
    def claim_often(number: int) -> list[UUID | None]:
        return taken(Taker(["data"], f"worker-{number}"), times=6)

    found = Counter(one for claims in at_once(claim_often) for one in claims if one)
    assert (running_count(acme), running_count(globex)) == (5, 5)
    assert found == {acme.pk: 5, globex.pk: 5}


def test_five_thousand_jobs_of_one_keep_the_first_of_another_waiting_for_one_turn(acme: Any, globex: Any) -> None:
    ready(acme, 5000)
    taker = Taker(["data"], "worker-1")
    assert taken(taker, 3) == [acme.pk] * 3
    ready(globex)
    assert taken(taker, 3) == [globex.pk, acme.pk, acme.pk]


def test_organizations_take_turns_in_several_queues(acme: Any, globex: Any) -> None:
    third = organizations.create_organization("Initech", UserFactory(), slug="initech")
    for organization in (acme, globex, third):
        ready(organization, 2, queue="data")
        ready(organization, 2, queue="llm")
    turns = taken(Taker(["data", "llm"], "worker-1"), 12)
    assert turns == [acme.pk, globex.pk, third.pk] * 4


def test_priority_counts_within_an_organization_and_then_who_was_ready_first(acme: Any, globex: Any) -> None:
    now = timezone.now()
    (late,) = ready(acme, ready_at=now)
    (early,) = ready(acme, ready_at=now - timedelta(minutes=5))
    (urgent,) = ready(acme, priority=9)
    (modest,) = ready(globex, priority=0)
    taker = Taker(["data"], "worker-1")
    claims = [taker.claim() for _ in range(4)]
    assert [claim and claim.job_id for claim in claims] == [urgent.pk, modest.pk, early.pk, late.pk]


def test_an_organization_at_its_limit_waits_until_one_of_its_jobs_ends(acme: Any, globex: Any) -> None:
    limit(acme, "starter")
    ready(acme, 4)
    ready(globex, 1)
    taker = Taker(["data"], "worker-1")
    first = taker.claim()
    assert first is not None
    assert taken(taker, 3) == [globex.pk, acme.pk, None]
    end(first)
    assert taken(taker, 2) == [acme.pk, None]


def test_what_its_own_processes_do_does_not_count_against_the_plan(acme: Any) -> None:
    limit(acme, "starter")
    ready(acme, 5, status="running", queue="outside", lease_until=timezone.now() + timedelta(minutes=1))
    ready(acme, 3)
    assert taken(Taker(["data"], "worker-1"), 3) == [acme.pk, acme.pk, None]


def test_work_of_a_suspended_organization_waits_and_what_runs_goes_on(acme: Any, globex: Any) -> None:
    ready(acme, 2)
    ready(globex)
    taker = Taker(["data"], "worker-1")
    running = taker.claim()
    assert running is not None
    with tenancy.scope(acme.pk):
        organizations.suspend_organization(acme, because="an open invoice", by=SYSTEM)
    assert taken(taker, 2) == [globex.pk, None]
    assert taker.succeed_and_claim(running, {"n": 1}, go_on=True) is not None
    with tenancy.scope(acme.pk):
        assert Job.objects.get(pk=running.job_id).status == "succeeded"
        organizations.resume_organization(acme, by=SYSTEM)
    assert taken(taker) == [acme.pk]


def test_work_of_a_closed_organization_waits(acme: Any, globex: Any) -> None:
    ready(acme)
    ready(globex)
    type(acme).objects.filter(pk=acme.pk).update(deletion_requested_at=timezone.now())
    assert taken(Taker(["data"], "worker-1"), 2) == [globex.pk, None]


def test_a_drained_queue_gives_nothing_and_the_others_do(acme: Any) -> None:
    ready(acme)
    (other,) = ready(acme, queue="llm")
    Queue.objects.update_or_create(name="data", defaults={"drained_at": timezone.now()})
    taker = Taker(["data", "llm"], "worker-1")
    claims = [taker.claim(), taker.claim()]
    assert [claim and claim.job_id for claim in claims] == [other.pk, None]
    Queue.objects.update(drained_at=None)
    assert taken(taker) == [acme.pk]


def test_a_drained_queue_gives_nothing_with_the_end_of_a_job_either(acme: Any) -> None:
    ready(acme, 2)
    taker = Taker(["data"], "worker-1")
    running = taker.claim()
    assert running is not None
    Queue.objects.update_or_create(name="data", defaults={"drained_at": timezone.now()})
    ended = taker.succeed_and_claim(running, None, go_on=True)
    assert ended is not None
    assert ended.next is None


def test_a_spare_process_serves_only_organizations_that_run_nothing_yet(acme: Any, globex: Any) -> None:
    ready(acme, 3)
    spare = Taker(["data"], "spare", only_idle=True)
    assert taken(spare, 2) == [acme.pk, None]
    ready(globex)
    assert taken(spare, 2) == [globex.pk, None]
    assert taken(Taker(["data"], "worker-1")) == [acme.pk]


def test_a_spare_process_does_not_mind_what_runs_in_other_queues(acme: Any) -> None:
    ready(acme, queue="training", status="running", lease_until=timezone.now() + timedelta(minutes=1))
    ready(acme)
    assert taken(Taker(["data"], "spare", only_idle=True)) == [acme.pk]


def test_what_is_scheduled_or_waits_for_others_is_nobodys(acme: Any) -> None:
    ready(acme, ready_at=None, run_at=timezone.now() - timedelta(minutes=1))
    ready(acme, ready_at=None, waits_for=1)
    assert Taker(["data"], "worker-1").claim() is None


def test_looking_in_vain_is_one_statement(acme: Any) -> None:
    taker = Taker(["data", "llm"], "worker-1")
    with tenancy.no_scope(), CaptureQueriesContext(connection) as seen:
        assert taker.claim() is None
    assert len(seen) == 1
