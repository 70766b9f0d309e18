"""PostgreSQL's expressions for series over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, DateTimeField, F, FloatField, Func, IntegerField, Value

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class TimeStep(Func):
    """The beginning of the step of `width`, counted from `EPOCH`, that a time falls into."""

    function = "date_bin"
    output_field = DateTimeField()

    def __init__(self, width: timedelta, field: str, **extra: Any) -> None:
        super().__init__(Value(width), F(field), Value(EPOCH), **extra)


class StepNumber(Func):
    """The number of the step that a time falls into, where `starts` says when each begins; -1 before the first."""

    template = "width_bucket(%(expressions)s) - 1"
    output_field = IntegerField()

    def __init__(self, starts: Sequence[datetime], field: str, **extra: Any) -> None:
        super().__init__(F(field), Value(list(starts), output_field=ArrayField(DateTimeField())), **extra)


class Percentiles(Aggregate):
    """Continuous percentiles of a number, as a list in the order of `shares`."""

    template = "percentile_cont(ARRAY[%(shares)s]) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())

    def __init__(self, field: str, shares: tuple[float, ...], **extra: Any) -> None:
        super().__init__(F(field), shares=", ".join(map(str, shares)), **extra)
