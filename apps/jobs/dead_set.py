"""The dead set as a whole: retried or discarded by filter, in batches, so that memory does not grow with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.audit import services as audit
from apps.core import live
from apps.core.actors import Actor
from apps.core.tenancy import current_tenant_id
from apps.jobs import services
from apps.jobs.models import Job
from apps.jobs.querysets import JobQuerySet
from apps.organizations.models import Organization

BATCH = 500
MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Done:
    """How many jobs it was done to, and how many of those asked for are left for another call."""

    count: int
    remaining: int


def retry_dead(jobs: JobQuerySet, *, by: Actor, filters: dict[str, Any] | None = None) -> Done:
    """Run those of `jobs` that are dead once more, oldest first. `filters` tell the trail which were meant."""
    return _for_each_dead(jobs, lambda ids: services.revive(ids, f"Retried by {by.label}"), by, "retried", filters)


def discard_dead(jobs: JobQuerySet, *, by: Actor, filters: dict[str, Any] | None = None) -> Done:
    """Take those of `jobs` that are dead out of the dead set; they stay in the list of jobs."""
    return _for_each_dead(jobs, _discard, by, "discarded", filters)


def _discard(ids: list[UUID]) -> None:
    Job.objects.filter(pk__in=ids).update(discarded_at=Now())
    live.publish("jobs", *(f"job:{one}" for one in ids))


@transaction.atomic
def _for_each_dead(
    jobs: JobQuerySet, act: Callable[[list[UUID]], None], by: Actor, what: str, filters: dict[str, Any] | None
) -> Done:
    dead = jobs.dead()
    # Whoever is at work on one of them already knows what becomes of it.
    locked = dead.select_for_update(skip_locked=True, of=("self",)).order_by("id").values_list("pk", flat=True)
    count = 0
    while count < MOST_AT_ONCE and (ids := list(locked[: min(BATCH, MOST_AT_ONCE - count)])):
        act(ids)
        count += len(ids)
    if count:
        organization = Organization.objects.get(pk=current_tenant_id())
        audit.record(by, f"job.dead_set_{what}", organization, {**(filters or {}), "count": count})
    return Done(count, dead.count())
