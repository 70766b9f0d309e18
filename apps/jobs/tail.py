"""A job's log in pages: its end, what came after a line, and what stood before one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from apps.jobs.enums import LOG_LEVELS
from apps.jobs.models import Job, JobLogLine

PAGE = 200
# The lowest level that is shown.
CHOICES = [("info", "Info and above", None), ("warning", "Warnings and errors", None), ("error", "Errors", None)]


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines in the order they were written; `has_more` in the direction that was read in."""

    rows: Sequence[JobLogLine]
    has_more: bool

    @property
    def first(self) -> str:
        """The id of the first line; empty without any."""
        return str(self.rows[0].pk) if self.rows else ""

    @property
    def last(self) -> str:
        return str(self.rows[-1].pk) if self.rows else ""


def last(job: Job, level: str) -> Lines:
    return _backwards(_shown(job, level))


def before(job: Job, level: str, line: UUID) -> Lines:
    return _backwards(_shown(job, level).filter(id__lt=line))


def after(job: Job, level: str, line: UUID) -> Lines:
    found = list(_shown(job, level).filter(id__gt=line).order_by("id")[: PAGE + 1])
    return Lines(found[:PAGE], len(found) > PAGE)


def _backwards(rows: QuerySet[JobLogLine]) -> Lines:
    found = list(rows.order_by("-id")[: PAGE + 1])
    return Lines(found[:PAGE][::-1], len(found) > PAGE)


def _shown(job: Job, level: str) -> QuerySet[JobLogLine]:
    rows: QuerySet[JobLogLine] = job.log_lines.all()
    return rows.filter(level__in=LOG_LEVELS[LOG_LEVELS.index(level) :]) if level in LOG_LEVELS[1:] else rows
