"""What people and programs submit by themselves: open kinds of ours, and kinds of their organization's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.audit import services as audit
from apps.core.actors import Actor
from apps.jobs import callbacks, errors, kinds, services
from apps.jobs.kinds import Kind
from apps.jobs.models import Job
from apps.jobs.services import Wishes

FARTHEST = timedelta(days=366)


@transaction.atomic
def submit_open_job(kind: str, input: dict[str, Any], *, by: Actor, label: str = "", wishes: Wishes) -> Job:
    """Accept a job that `by` asks for. A `run_at` that is over means now.

    Raises `KindNotOpen`, `TimeLimitTooLong`, `RunAtTooFar`, `DependencyUnknown`, `DependencyEndedBadly`, `InvalidUrl`,
    `AddressRefused`.
    """
    if kinds.is_ours(kind):
        _require_open(kinds.ours(kind), wishes)
    callback_url = callbacks.prepared_url(wishes.callback_url, by=by) if wishes.callback_url else ""
    wishes = replace(wishes, run_at=_later(wishes.run_at), callback_url=callback_url)
    job = services.submit_job(kind, input, by=by, label=label or kind, wishes=wishes)
    audit.record(by, "job.submitted", job, {"kind": kind})
    job.refresh_from_db()
    return job


def _require_open(kind: Kind, wishes: Wishes) -> None:
    if not kind.is_open:
        raise errors.KindNotOpen(field="kind", kind=kind.name, started_by=kind.started_by or "the product itself")
    if wishes.time_limit_s and wishes.time_limit_s > kind.time_limit_s:
        raise errors.TimeLimitTooLong(field="timeout_s", kind=kind.name, limit_s=kind.time_limit_s)


def _later(moment: datetime | None) -> datetime | None:
    now = timezone.now()
    if moment is None or moment <= now:
        return None
    if moment > now + FARTHEST:
        raise errors.RunAtTooFar(field="run_at", days=FARTHEST.days)
    return moment
