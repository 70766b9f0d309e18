"""Reads for the pages of jobs."""

from __future__ import annotations

from typing import Any

from django.db.models import Count

from apps.jobs.enums import Status
from apps.jobs.models import Job

FILTERS = ("status", "kind")


def filtered(parameters: Any) -> Any:
    """The jobs that the page's address asks for."""
    wanted = {name: parameters[name] for name in FILTERS if parameters.get(name)}
    return Job.objects.filter(**wanted)


def status_counts() -> list[tuple[str, str, int]]:
    """How many jobs there are in each status that occurs: (value, label, count)."""
    counts = dict(Job.objects.values_list("status").annotate(Count("id")))
    return [(value, label, counts[value]) for value, label in Status.choices if value in counts]


def kind_counts() -> list[tuple[str, str, int]]:
    rows = Job.objects.values_list("kind").annotate(Count("id")).order_by("kind")
    return [(kind, kind, count) for kind, count in rows]
