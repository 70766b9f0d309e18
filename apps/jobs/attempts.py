"""A job's history as a picture: each attempt on a line of its own, from when it was awaited to how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from django.utils import timezone

from apps.core import formatting, timelines
from apps.core.timelines import Span, Timeline, Track
from apps.jobs.enums import FINISHED, Status
from apps.jobs.models import Job, JobTransition

MOST_ATTEMPTS = 20
COLUMNS = ("From", "Lasted", "Worker", "Why")
# How an attempt looks by what came of it.
ENDS = {Status.SUCCEEDED: "success", Status.CANCELLED: "stopped"}
WAITS = {Status.PENDING: "waiting", Status.RETRYING: "pausing"}


def drawn(job: Job, history: Sequence[JobTransition], now: datetime) -> Timeline | None:
    """The newest attempts on one time axis, in the reader's zone; None before anything happened."""
    spans: dict[int, list[Span]] = {}
    for attempt, span in _spans(history, now):
        spans.setdefault(attempt, []).append(span)
    newest = sorted(spans)[-MOST_ATTEMPTS:]
    tracks = [Track(f"Attempt {attempt}", spans[attempt]) for attempt in newest]
    return timelines.timeline(f"Attempts of {job.label}", tracks, COLUMNS) if tracks else None


def _spans(history: Sequence[JobTransition], now: datetime) -> Iterator[tuple[int, Span]]:
    """Each stretch between two changes, with the attempt that it belongs to: a wait to the one that follows it."""
    for change, following in pairwise([*history, None]):
        if change is None or change.status in FINISHED:
            continue
        is_running = change.status == Status.RUNNING
        attempt = change.attempt if is_running else change.attempt + 1
        yield attempt, _span(change, following, now, f"Attempt {attempt}: {_name(change)}")


def _name(change: JobTransition) -> str:
    return "running" if change.status == Status.RUNNING else "backing off" if change.attempt else "waiting"


def _span(change: JobTransition, following: JobTransition | None, now: datetime, name: str) -> Span:
    start = timezone.localtime(change.created_at)
    end = timezone.localtime(following.created_at) if following else max(now, start)
    lasted = formatting.format_duration((end - start).total_seconds() * 1000)
    why = (following.reason if following and change.status == Status.RUNNING else change.reason)[:100]
    worker = change.worker_name if change.status == Status.RUNNING else ""
    cells = (formatting.format_time(start), lasted, worker or formatting.ABSENT, why or formatting.ABSENT)
    return Span(start, end, _look(change, following), name, cells)


def _look(change: JobTransition, following: JobTransition | None) -> str:
    if change.status != Status.RUNNING:
        return WAITS[Status(change.status)]
    return ENDS.get(Status(following.status), "danger") if following else "running"
