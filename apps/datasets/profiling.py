"""What the columns of a typed Parquet file hold: counts, moments, quantiles, histograms, most common values.

One column is looked at at a time, so memory is bounded by one column. Everything is exact, except that the number
of distinct values is estimated in tables of more than `EXACT_DISTINCT_ROWS` rows, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from apps.datasets.enums import ColumnKind
from apps.datasets.reading import ColumnType, column_types

EXACT_DISTINCT_ROWS = 2_000_000
MAX_BINS = 20
TOP_VALUES = 10
SHOWN_CHARS = 200
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NICE_STEPS = (1, 2, 2.5, 5, 10)
MOSTLY = 0.9
FEW_EXCEPTIONS = 0.05
NUMBER_PATTERN = r"^[+-]?\d+([.,]\d+)?$"
EPOCH = datetime(1970, 1, 1)  # times in a table have no zone
MICROSECONDS_PER_DAY = 86_400_000_000
FIRST_MOMENT = (datetime.min - EPOCH) // timedelta(microseconds=1)
LAST_MOMENT = (datetime.max - EPOCH) // timedelta(microseconds=1)

Value = str | int | float | bool
Show = Callable[[float], Value]


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]` values lie in [edges[i], edges[i + 1]); the last bin includes its right edge."""

    edges: list[Value]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class TopValue:
    value: Value
    count: int


@dataclass(frozen=True, slots=True)
class TextLength:
    """Characters of the shortest, the average and the longest text."""

    minimum: int
    mean: float
    maximum: int


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column. Dates and times are ISO 8601 texts; what does not apply to the kind is None or empty.

    `warnings` are codes: all_null, constant, id_like, mixed (numbers among texts), mostly_null.
    """

    name: str
    kind: ColumnKind
    count: int
    missing: int
    distinct: int
    distinct_is_estimate: bool
    minimum: Value | None = None
    maximum: Value | None = None
    mean: float | None = None
    std: float | None = None
    quantiles: dict[str, Value] = field(default_factory=dict)
    histogram: Histogram | None = None
    top: list[TopValue] = field(default_factory=list)
    length: TextLength | None = None
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def profile(parquet: Path, on_column: Callable[[float], None] | None = None) -> list[ColumnProfile]:
    """The profile of each column of a Parquet file that `read_csv` wrote.

    `on_column` is told the share of columns that are done; what it raises stops the work.
    """
    columns = column_types(parquet)
    profiles = []
    for done, column in enumerate(columns, start=1):
        values = pl.scan_parquet(parquet).select(column.name).collect(engine="streaming").to_series()
        profiles.append(profile_column(column, values))
        if on_column is not None:
            on_column(done / len(columns))
    return profiles


def profile_column(column: ColumnType, values: pl.Series) -> ColumnProfile:
    present = values.drop_nulls()
    is_estimate = len(present) > EXACT_DISTINCT_ROWS
    distinct = int(present.to_frame().select(pl.all().approx_n_unique()).item()) if is_estimate else present.n_unique()
    return ColumnProfile(
        name=column.name,
        kind=column.kind,
        count=len(values),
        missing=values.null_count(),
        distinct=distinct,
        distinct_is_estimate=is_estimate,
        warnings=_warnings(column.kind, values, present, distinct),
        **(_kind_facts(column.kind, present) if len(present) else {}),
    )


def _kind_facts(kind: ColumnKind, present: pl.Series) -> dict[str, Any]:
    match present.dtype:
        case pl.Int64 | pl.Float64:
            return _number_facts(present) | ({"top": []} if kind is ColumnKind.ID else {"top": _top(present)})
        case pl.Date:
            days = present.cast(pl.Int32).cast(pl.Int64)
            return _time_facts(days, _day) | {"top": _top(present.dt.strftime("%Y-%m-%d"))}
        case pl.Datetime:
            return _time_facts(present.dt.epoch("us"), _moment)
        case pl.Boolean:
            return {"top": _top(present)}
        case _:
            return {"top": [] if kind is ColumnKind.ID else _top(present), "length": _length(present)}


def _number_facts(present: pl.Series) -> dict[str, Any]:
    numbers = present.to_numpy()
    is_integer = present.dtype == pl.Int64
    show: Show = int if is_integer else float
    return _ordered_facts(numbers, show, float, is_integer) | {
        "mean": float(numbers.mean(dtype=np.float64)),
        "std": float(numbers.std(ddof=1, dtype=np.float64)) if len(numbers) > 1 else None,
    }


def _time_facts(ticks: pl.Series, show: Show) -> dict[str, Any]:
    return _ordered_facts(ticks.to_numpy(), show, show, is_integer=True)


def _ordered_facts(numbers: NDArray[Any], show: Show, show_between: Show, is_integer: bool) -> dict[str, Any]:
    """Facts of values that have an order; `show_between` shows a point that need not be one of the values."""
    edges = histogram_edges(numbers.min(), numbers.max(), is_integer)
    counts, _ = np.histogram(numbers, bins=edges)
    between = np.quantile(numbers, QUANTILES)
    return {
        "minimum": show(numbers.min()),
        "maximum": show(numbers.max()),
        "quantiles": {str(q): show_between(value) for q, value in zip(QUANTILES, between, strict=True)},
        "histogram": Histogram([show(edge) for edge in edges], counts.tolist()),
    }


def histogram_edges(low: float, high: float, is_integer: bool) -> list[float]:
    """At most `MAX_BINS` equal bins over [low, high], with round edges.

    Integers get bins of whole width that begin at the lowest value. Values too close for round edges share one bin.
    """
    if is_integer:
        span = int(high) - int(low) + 1
        width = -(-span // MAX_BINS)
        return [int(low) + width * index for index in range(-(-span // width) + 1)]
    step = _round_step((float(high) - float(low)) / MAX_BINS)
    edges = [_rounded(index, step) for index in range(math.floor(low / step), math.ceil(high / step) + 1)]
    if edges[0] <= low and high <= edges[-1] and len(edges) == len(set(edges)) > 1:
        return edges
    return [float(low), float(high)]


def _round_step(width: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that leaves room for both ends in `MAX_BINS` bins."""
    width *= MAX_BINS / (MAX_BINS - 1)
    power = 10.0 ** math.floor(math.log10(width)) if width > 0 else 1.0
    return next((step * power for step in NICE_STEPS if step * power >= width), 10 * power)


def _rounded(index: int, step: float) -> float:
    """`index * step` without the noise of binary fractions, such as 0.30000000000000004."""
    return float(f"{index * step:.12g}")


def _day(days: float) -> str:
    return _moment(days * MICROSECONDS_PER_DAY)[: len("0000-00-00")]


def _moment(microseconds: float) -> str:
    # The last edge of a histogram may lie beyond 9999, the year that stands for "never" in many tables.
    clipped = min(max(round(float(microseconds)), FIRST_MOMENT), LAST_MOMENT)
    return (EPOCH + timedelta(microseconds=clipped)).isoformat()


def _top(present: pl.Series) -> list[TopValue]:
    """The most common values; equally common ones in their own order, so that the answer is stable."""
    counts = present.alias("value").value_counts(name="count")
    ranked = counts.sort(["count", "value"], descending=[True, False]).head(TOP_VALUES)
    return [TopValue(_shortened(value), count) for value, count in ranked.iter_rows()]


def _shortened(value: Value) -> Value:
    if isinstance(value, str) and len(value) > SHOWN_CHARS:
        return value[: SHOWN_CHARS - 1] + "…"
    return value


def _length(present: pl.Series) -> TextLength:
    lengths = present.str.len_chars()
    return TextLength(int(lengths.min()), float(lengths.mean()), int(lengths.max()))  # type: ignore[arg-type]


def _warnings(kind: ColumnKind, values: pl.Series, present: pl.Series, distinct: int) -> list[str]:
    if present.is_empty():
        return ["all_null"]
    warnings = []
    if distinct == 1:
        warnings.append("constant")
    if values.null_count() > MOSTLY * len(values):
        warnings.append("mostly_null")
    if kind is ColumnKind.ID:
        warnings.append("id_like")
    if kind in (ColumnKind.TEXT, ColumnKind.CATEGORY) and _is_mixed(present):
        warnings.append("mixed")
    return warnings


def _is_mixed(present: pl.Series) -> bool:
    """Whether nearly all of these texts are numbers, so that a few bad cells probably made it a text column."""
    numeric = present.str.contains(NUMBER_PATTERN).mean()
    return isinstance(numeric, float) and 1 - FEW_EXCEPTIONS <= numeric < 1
