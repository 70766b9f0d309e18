"""The list of jobs: what its address asks for, and how many jobs each other choice would show.

Counting looks at the newest jobs of a choice only, so that the page costs the same however many jobs there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.audit.moments import first_id
from apps.core.formatting import format_count
from apps.jobs.enums import Status
from apps.jobs.models import Job
from apps.jobs.querysets import JobQuerySet

COUNTED = 500
MOST_CHOICES = 12
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)

Option = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Age:
    """Jobs that were submitted within the last `span`, or else before that."""

    name: str
    label: str
    span: timedelta
    is_older: bool = False

    def ids(self, now: datetime) -> tuple[UUID, UUID]:
        """The ids of such jobs lie between these two, which sort by the time they were made."""
        edge = first_id(now - self.span)
        return (FIRST_ID, edge) if self.is_older else (edge, LAST_ID)


AGES = {
    age.name: age
    for age in (
        Age("1h", "Last hour", timedelta(hours=1)),
        Age("24h", "Last 24 hours", timedelta(days=1)),
        Age("7d", "Last 7 days", timedelta(days=7)),
        Age("older", "Older than 7 days", timedelta(days=7), is_older=True),
    )
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that is on."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; empty: anything."""

    status: str = ""
    kind: str = ""
    tag: str = ""
    age: str = ""
    queue: str = ""
    error_code: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Asked:
        asked = {field.name: given.get(field.name, "").replace("\x00", "") for field in fields(cls)}
        return cls(**{**asked, "age": asked["age"] if asked["age"] in AGES else ""})

    def ids(self, now: datetime) -> tuple[UUID, UUID]:
        return AGES[self.age].ids(now) if self.age else (FIRST_ID, LAST_ID)

    def rows(self, now: datetime) -> JobQuerySet:
        """The jobs that are asked for."""
        wanted = {name: getattr(self, name) for name in COLUMNS if getattr(self, name)}
        first, last = self.ids(now)
        if self.age:
            wanted |= {"id__gte": first, "id__lt": last}
        rows: JobQuerySet = Job.objects.filter(**wanted)
        return rows.tagged(self.tag) if self.tag else rows

    def chips(self) -> list[Chip]:
        """The filters that are on, in words."""
        on = [(name, getattr(self, name)) for name in LABELS if getattr(self, name)]
        return [Chip(name, LABELS[name], self._told(name, value)) for name, value in on]

    @staticmethod
    def _told(name: str, value: str) -> str:
        if name == "age":
            return AGES[value].label
        return Status(value).label if name == "status" and value in Status.values else value


COLUMNS = ("status", "kind", "queue", "error_code")
LABELS = {
    "status": "Status",
    "kind": "Kind",
    "queue": "Queue",
    "error_code": "Error",
    "tag": "Tag",
    "age": "Submitted",
}

WITH_TAG = "EXISTS (SELECT FROM jobs_jobtag AS other WHERE other.job_id = job.id AND other.tag = %(tag)s)"
# What a choice's jobs have to be beside it.
FITS = {
    "status": "job.status = %(status)s",
    "kind": "job.kind = %(kind)s",
    "tag": WITH_TAG,
    "queue": "job.queue = %(queue)s",
    "error_code": "job.error_code = %(error_code)s",
}
# How the newest jobs of a choice are found by an index.
WALKS = {
    "status": "FROM jobs_job AS job WHERE job.status = choice.value AND {between} ORDER BY job.id DESC",
    "kind": "FROM jobs_job AS job WHERE job.kind = choice.value AND {between} ORDER BY job.id DESC",
    "tag": "FROM (SELECT job_id FROM jobs_jobtag AS mark WHERE mark.tag = choice.value AND {between}"
    " ORDER BY mark.job_id DESC LIMIT %(most)s) AS mark JOIN jobs_job AS job ON job.id = mark.job_id",
    "age": "FROM jobs_job AS job WHERE {between} ORDER BY job.id DESC",
}
BETWEEN = {"tag": "mark.job_id >= choice.first AND mark.job_id < choice.last"}
COUNT = """
SELECT choice.value, count(*) FILTER (WHERE walked.fits), count(walked.fits)
FROM unnest(%(values)s::text[], %(firsts)s::uuid[], %(lasts)s::uuid[]) AS choice (value, first, last)
LEFT JOIN LATERAL (SELECT {fits} AS fits {walk} LIMIT %(most)s) AS walked ON true
GROUP BY choice.value
"""

# Each value once, by one step of the index for each: as many steps as there are values, not as there are jobs.
VALUES = """
WITH RECURSIVE found (value) AS (
    (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT {column} FROM {table} WHERE {column} > found.value ORDER BY {column} LIMIT 1)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL LIMIT 200
"""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the list can be narrowed to: (value, label, how many that shows)."""

    status: list[Option]
    kind: list[Option]
    tag: list[Option]
    age: list[Option]


def choices(asked: Asked, now: datetime) -> Choices:
    """The choices of each filter, counted as they are beside the other filters that are on."""
    statuses = _counted("status", asked, Status.values, now)
    return Choices(
        status=[(one.value, one.label, statuses[one.value]) for one in Status if one.value in statuses],
        kind=_most("kind", asked, kinds(), now),
        tag=_most("tag", asked, _values("tag", "jobs_jobtag"), now),
        age=_ages(asked, now),
    )


def kinds() -> list[str]:
    """The kinds that the organization's jobs have."""
    return _values("kind", "jobs_job")


def bounded(rows: QuerySet[Any]) -> str:
    """How many rows there are, in words: "500+" for more."""
    return in_words(rows.order_by()[: COUNTED + 1].count())


def _ages(asked: Asked, now: datetime) -> list[Option]:
    counts = _counted("age", asked, list(AGES), now)
    return [(age.name, age.label, counts[age.name]) for age in AGES.values() if age.name in counts]


def _most(name: str, asked: Asked, values: Sequence[str], now: datetime) -> list[Option]:
    """The values that show the most, and the one that is chosen."""
    counts = _count(name, asked, values, now)
    most = sorted(counts, key=lambda value: (value != getattr(asked, name), -counts[value][0], value))[:MOST_CHOICES]
    told = _told(name, asked, {value: counts[value] for value in most})
    return [(value, value, told[value]) for value in sorted(told)]


def _counted(name: str, asked: Asked, values: Sequence[str], now: datetime) -> dict[str, str]:
    return _told(name, asked, _count(name, asked, values, now))


def _told(name: str, asked: Asked, counts: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """The choices that show anything, and the one that is chosen. What was not looked through may hold more."""
    return {
        value: f"{format_count(min(fitting, COUNTED))}+" if walked > COUNTED else format_count(fitting)
        for value, (fitting, walked) in counts.items()
        if fitting or walked > COUNTED or value == getattr(asked, name)
    }


def _count(name: str, asked: Asked, values: Sequence[str], now: datetime) -> dict[str, tuple[int, int]]:
    """For each choice how many of the newest jobs that it has fit beside the other filters, and of how many."""
    others = [condition for other, condition in FITS.items() if other != name and getattr(asked, other)]
    between = BETWEEN.get(name, "job.id >= choice.first AND job.id < choice.last")
    walk = WALKS[name].format(between=between)
    spans = [AGES[value].ids(now) if name == "age" else asked.ids(now) for value in values]
    parameters = {
        **{other: getattr(asked, other) for other in FITS},
        "values": list(values),
        "firsts": [first for first, _ in spans],
        "lasts": [last for _, last in spans],
        "most": COUNTED + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(fits=" AND ".join(others) or "true", walk=walk), parameters)
        return {value: (fitting, walked) for value, fitting, walked in cursor.fetchall()}


def _values(column: str, table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(VALUES.format(column=column, table=table))
        return [value for (value,) in cursor.fetchall()]


def in_words(count: int) -> str:
    return f"{format_count(COUNTED)}+" if count > COUNTED else format_count(count)
