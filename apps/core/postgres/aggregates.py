"""PostgreSQL's expressions for series over time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, DateTimeField, F, FloatField, Func, Value

from apps.core.time_ranges import EPOCH


class TimeStep(Func):
    """The beginning of the step of `width`, counted from `time_ranges.EPOCH`, that a time falls into."""

    function = "date_bin"
    output_field = DateTimeField()

    def __init__(self, width: timedelta, field: str, **extra: Any) -> None:
        super().__init__(Value(width), F(field), Value(EPOCH), **extra)


class Percentiles(Aggregate):
    """Continuous percentiles of a number, as a list in the order of `shares`."""

    template = "percentile_cont(ARRAY[%(shares)s]) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = ArrayField(FloatField())

    def __init__(self, field: str, shares: tuple[float, ...], **extra: Any) -> None:
        super().__init__(F(field), shares=", ".join(map(str, shares)), **extra)
