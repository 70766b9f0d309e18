"""Reads for the pages of jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count

from apps.jobs import attempts, callbacks, kinds, listing, standing
from apps.jobs.listing import Option
from apps.jobs.models import Job, OutsideWorker
from apps.jobs.standing import Standing
from apps.organizations.models import Organization

MOST_RELATED = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A job in a list, and what it waits for."""

    job: Job
    standing: Standing | None


def with_standing(jobs: Sequence[Job], organization: Organization) -> list[Row]:
    load = standing.load_of(organization)
    return [Row(job, standing.standing_of(job, load)) for job in jobs]


def dead_count() -> str:
    return listing.bounded(Job.objects.dead())


def dead_choices() -> dict[str, list[Option]]:
    """What the dead set can be narrowed to, with how many jobs each shows alone, in one query."""
    names = ("kind", "queue", "error_code")
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    groups: Any = Job.objects.dead().order_by().values(*names).annotate(jobs=Count("id"))
    for row in groups:
        for name in names:
            counts[name][row[name]] += row["jobs"]
    return {
        name: [(value, value, listing.in_words(count)) for value, count in sorted(found.items()) if value]
        for name, found in counts.items()
    }


def own_kinds() -> list[str]:
    """The kinds of its own that the organization has had jobs of, or has processes for."""
    asked = {kind for served in OutsideWorker.objects.values_list("kinds", flat=True) for kind in served}
    return sorted(kind for kind in {*listing.kinds(), *asked} if can_be_submitted(kind))


def can_be_submitted(kind: str) -> bool:
    """Whether people and programs submit such jobs by themselves."""
    return not kinds.is_ours(kind) or kinds.ours(kind).is_open


def state_of(job: Job, organization: Organization, now: datetime) -> dict[str, Any]:
    """All that a job's page shows of it but the log."""
    history = list(job.transitions.all())
    needs = [one.needs for one in job.dependencies.select_related("needs").order_by("id")]
    dependents = [one.job for one in job.dependents.select_related("job").order_by("id")[: MOST_RELATED + 1]]
    return {
        "job": job,
        "history": history,
        "timeline": attempts.drawn(job, history, now),
        "standing": standing.standing_of(job, standing.load_of(organization)),
        "needs": needs,
        "dependents": dependents[:MOST_RELATED],
        "has_more_dependents": len(dependents) > MOST_RELATED,
        "forced_at": _forced_at(job),
        "delivery": callbacks.delivery_of(job) if job.callback_url else None,
        # What those do that it waits for, and that wait for it, changes what is shown here.
        "topics": " ".join(f"job:{one.pk}" for one in [job, *needs, *dependents][: 2 * MOST_RELATED]),
    }


def _forced_at(job: Job) -> datetime | None:
    """When a job of ours that was asked to stop is ended by force."""
    if not job.is_cancelling or job.cancel_requested_at is None or job.is_outside:
        return None
    return job.cancel_requested_at + timedelta(seconds=settings.JOB_STOP_GRACE_SECONDS)
