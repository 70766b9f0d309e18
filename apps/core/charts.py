"""Charts as geometry: numbers in, the positions and texts that a template draws as SVG out.

Horizontal positions are percentages of the plot's width, so that a chart fits any width without a script; vertical
positions are pixels of its height. Every chart carries its numbers as rows of text: the table for screen readers, and
what hovering shows. No number is computed in the browser.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from apps.core.formatting import (
    ABSENT,
    format_clock,
    format_count,
    format_day_of_month,
    format_decimals,
    format_offset,
    format_significant,
    format_time,
)

Format = Callable[[float], str]

SERIES_COLOURS = 6
LEAST_AXIS, AXIS_GAP, DIGIT = 48, 8, 6.4  # pixels, the last one of a digit in a chart's letters
TOP = 8
FEW_LABELS = 5
A_DAY = timedelta(days=1)
LONGEST_STRIDE = timedelta(minutes=15)  # zones differ from UTC by quarters of an hour
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
TIME_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (
        *(1, 5, 15, 30, 60, 300, 900, 1800),
        *(3600, 3 * 3600, 6 * 3600, 12 * 3600),
        *(86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400),
    )
)


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis; a minor one is left out where there is little room."""

    position: float
    label: str
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table behind a chart."""

    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Named values, one for each position; None is a gap."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened at a moment: a deploy, a version."""

    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A drawn series: one path for each stretch without gaps, in units of a tenth of a percent by pixels.

    `points` are the stretches of a single value, which are drawn as dots.
    """

    name: str
    number: int
    paths: tuple[str, ...]
    points: tuple[str, ...]
    areas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """The strip that answers to the pointer, and where each series stands in it ("" for a gap)."""

    left: float
    width: float
    centre: float
    heights: tuple[str, ...]

    @property
    def points(self) -> str:
        return ",".join(self.heights)


@dataclass(frozen=True, slots=True)
class TimeSeries:
    label: str
    height: int
    bottom: float
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    lines: tuple[Line, ...]
    hits: tuple[Hit, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    markers: tuple[Tick, ...]
    has_area: bool
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Bar:
    left: float
    width: float
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    label: str
    height: int
    bottom: float
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    label: str
    height: int
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    bars: tuple[Bar, ...]
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with the half width of its interval, as cross-validation gives it."""

    name: str
    value: float
    error: float | None = None


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    name: str
    text: str
    width: float
    error_left: float | None
    error_right: float | None
    is_best: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    label: str
    value_name: str
    rows: tuple[ComparisonRow, ...]
    reference: Tick | None


def nice_step(span: float, intervals: int) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that covers `span` in at most `intervals` steps."""
    rough = span / intervals
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power * intervals >= span * (1 - 1e-9))


def nice_ticks(low: float, high: float, intervals: int = 4, least_step: float = 0.0) -> list[float]:
    """Round values that enclose `low` to `high`; at least two, and no closer than `least_step`."""
    if not high > low:
        low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        high = low + 1.0
    step = max(nice_step(high - low, intervals), least_step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def time_ticks(start: datetime, end: datetime, limit: int = 8) -> list[datetime]:
    """Moments from `start` to `end` that are round in the zone of `start`, at most `limit`."""
    span = end.astimezone(UTC) - start.astimezone(UTC)
    step = next((step for step in TIME_STEPS if span / step <= limit - 1), span / (limit - 1))
    found = _round_days(start, step, limit) if step >= A_DAY else _round_times(start, end, step)
    return [at for at in found if start.astimezone(UTC) <= at.astimezone(UTC) <= end.astimezone(UTC)][:limit]


def _round_days(start: datetime, step: timedelta, limit: int) -> list[datetime]:
    """Clock times: adding days to one keeps midnight at midnight, however long those days are."""
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    first = midnight + math.ceil((start - midnight) / step) * step
    return [first + number * step for number in range(limit)]


def _round_times(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """Looked for in short strides, because a changed clock leaves hours out or shows them twice."""
    stride, instant = min(step, LONGEST_STRIDE), start.astimezone(UTC)
    first = instant - (instant - instant.replace(hour=0, minute=0, second=0, microsecond=0)) % stride
    strides = (end.astimezone(UTC) - first) // stride
    shown = [(first + number * stride).astimezone(start.tzinfo) for number in range(strides + 1)]
    return [at for at in shown if (at - at.replace(hour=0, minute=0, second=0)) % step == timedelta(0)]


def time_series(
    label: str,
    times: Sequence[datetime],
    series: Sequence[Series],
    *,
    text: Format = format_significant,
    markers: Sequence[Marker] = (),
    height: int = 200,
    area: bool = False,
    low: float | None = 0.0,
) -> TimeSeries:
    """Lines over a time axis, labelled in the zone of `times`.

    `low` is the least upper end of the value axis's bottom; None lets the data decide.
    """
    _check_lengths(times, series)
    bottom = height - 20.0
    start, end = (times[0], times[-1]) if times else (NO_TIME, NO_TIME)
    # Two times of one zone are subtracted by what their clocks show; instants are not.
    first, span = start.astimezone(UTC), end.astimezone(UTC) - start.astimezone(UTC)
    known = [value for one in series for value in one.values if value is not None]
    ticks = value_ticks(known, low)

    def across(at: datetime) -> float:
        return 100.0 * ((at.astimezone(UTC) - first) / span) if span else 50.0

    def down(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - TOP)

    positions = [across(at) for at in times]
    heights = [[None if value is None else down(value) for value in one.values] for one in series]
    return TimeSeries(
        label=label,
        height=height,
        bottom=bottom,
        columns=("Time", *(one.name for one in series)),
        rows=tuple(time_rows(times, series, text)),
        lines=tuple(_lines(series, positions, heights, bottom)),
        hits=tuple(_hits(positions, heights)),
        x_ticks=tuple(time_labels(time_ticks(start, end), across, span)) if len(times) > 1 else (),
        y_ticks=tuple(Tick(down(value), text(value)) for value in ticks),
        markers=tuple(Tick(across(one.at), one.label) for one in markers if start <= one.at.astimezone(UTC) <= end),
        has_area=area and len(series) == 1,
        is_empty=not known,
    )


def axis_width(ticks: Sequence[Tick]) -> int:
    """Pixels that the labels of a value axis take, with the distance to the chart; most of them take the least."""
    longest = max((len(tick.label) for tick in ticks), default=0)
    return max(LEAST_AXIS, AXIS_GAP + round(longest * DIGIT))


def _check_lengths(times: Sequence[datetime], series: Sequence[Series]) -> None:
    if any(len(one.values) != len(times) for one in series):
        raise ValueError("Every series needs one value for each time.")
    if len(series) > SERIES_COLOURS:
        raise ValueError(f"More than {SERIES_COLOURS} series cannot be told apart.")


def value_ticks(known: Sequence[float], low: float | None) -> list[float]:
    least, most = (min(known), max(known)) if known else (0.0, 1.0)
    # Whole numbers are counts, and an axis of counts has no halves.
    least_step = 1.0 if all(float(value).is_integer() for value in known) else 0.0
    return nice_ticks(least if low is None else min(least, low), most, least_step=least_step)


def time_rows(times: Sequence[datetime], series: Sequence[Series], text: Format) -> list[Row]:
    seconds = any(at.second for at in times)
    values = zip(*(one.values for one in series), strict=True) if series else iter([()] * len(times))
    return [
        Row(
            f"{format_time(at, seconds=seconds)} {format_offset(at)}",
            tuple(ABSENT if value is None else text(value) for value in row),
        )
        for at, row in zip(times, values, strict=True)
    ]


def _lines(
    series: Sequence[Series], positions: Sequence[float], heights: Sequence[Sequence[float | None]], bottom: float
) -> list[Line]:
    stretches = [_stretches(positions, one) for one in heights]
    return [
        Line(
            name=one.name,
            number=number,
            paths=tuple(_path(stretch) for stretch in found if len(stretch) > 1),
            points=tuple(_path(stretch) for stretch in found if len(stretch) == 1),
            areas=tuple(_area(stretch, bottom) for stretch in found),
        )
        for number, (one, found) in enumerate(zip(series, stretches, strict=True), start=1)
    ]


def _stretches(positions: Sequence[float], heights: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """The points between gaps."""
    found: list[list[tuple[float, float]]] = [[]]
    for position, height in zip(positions, heights, strict=True):
        if height is None:
            found.append([])
        else:
            found[-1].append((position * 10, height))
    return [stretch for stretch in found if stretch]


def _path(stretch: Sequence[tuple[float, float]]) -> str:
    start, *rest = (f"{x:.1f} {y:.1f}" for x, y in stretch)
    # A stretch of one point is drawn as a line to itself: round caps make it a dot.
    return f"M{start}" + "".join(f"L{point}" for point in rest or [start])


def _area(stretch: Sequence[tuple[float, float]], bottom: float) -> str:
    return f"{_path(stretch)}L{stretch[-1][0]:.1f} {bottom:.1f}L{stretch[0][0]:.1f} {bottom:.1f}Z"


def _hits(positions: Sequence[float], heights: Sequence[Sequence[float | None]]) -> list[Hit]:
    middles = [(here + there) / 2 for here, there in pairwise(positions)]
    return [
        Hit(
            left=round(left, 3),
            width=round(right - left, 3),
            centre=round(centre, 3),
            heights=tuple("" if one[index] is None else f"{one[index]:.1f}" for one in heights),
        )
        for index, (left, centre, right) in enumerate(
            zip([0.0, *middles], positions, [*middles, 100.0], strict=True) if positions else ()
        )
    ]


def time_labels(ticks: Sequence[datetime], across: Callable[[datetime], float], span: timedelta) -> list[Tick]:
    """The labels of a time axis that is `span` long."""

    def text(at: datetime) -> str:
        return format_clock(at, seconds=span < timedelta(minutes=4)) if span < 2 * A_DAY else format_day_of_month(at)

    return [Tick(round(across(at), 3), text(at), is_minor=index % 2 == 1) for index, at in enumerate(ticks)]


def bar_chart(
    label: str,
    items: Sequence[tuple[str, float]],
    *,
    value_name: str,
    text: Format = format_significant,
    height: int = 200,
) -> BarChart:
    """Vertical bars on a value axis that includes zero."""
    bottom = height - 20.0
    ticks = value_ticks([value for _, value in items], 0.0)

    def down(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - TOP)

    slot = 100.0 / max(len(items), 1)
    return BarChart(
        label=label,
        height=height,
        bottom=bottom,
        columns=("", value_name),
        rows=tuple(Row(name, (text(value),)) for name, value in items),
        bars=tuple(_bar(index * slot, slot, 0.7, down(0.0), down(value)) for index, (_, value) in enumerate(items)),
        x_ticks=tuple(_every_label([name for name, _ in items], slot)),
        y_ticks=tuple(Tick(down(value), text(value)) for value in ticks),
    )


def _bar(left: float, slot: float, share: float, zero: float, value: float) -> Bar:
    top, low = min(zero, value), max(zero, value)
    return Bar(round(left + slot * (1 - share) / 2, 3), round(slot * share, 3), round(top, 2), round(low - top, 2))


def _every_label(names: Sequence[str], slot: float, limit: int = 16) -> list[Tick]:
    stride = math.ceil(len(names) / limit) if names else 1
    shown = range(0, len(names), stride)
    return [
        Tick(round((index + 0.5) * slot, 3), names[index], is_minor=len(shown) > FEW_LABELS and number % 2 == 1)
        for number, index in enumerate(shown)
    ]


def histogram(
    label: str, edges: Sequence[float], counts: Sequence[int], *, text: Format = format_significant, height: int = 32
) -> Histogram:
    """The small picture of a distribution in a column's header. `edges` has one more entry than `counts`."""
    if len(edges) != len(counts) + 1:
        raise ValueError("A histogram needs one edge more than counts.")
    names = [f"{text(low)} to {text(high)}" for low, high in pairwise(edges)]
    return _counted_bars(label, names, counts, ends=(text(edges[0]), text(edges[-1])), height=height)


def category_histogram(label: str, items: Sequence[tuple[str, int]], *, height: int = 32) -> Histogram:
    """The same picture for categories, one bar for each, in the given order."""
    names, counts = [name for name, _ in items], [number for _, number in items]
    ends = (names[0] if names else "", names[-1] if names[1:] else "")
    return _counted_bars(label, names, counts, ends=ends, height=height)


def _counted_bars(
    label: str, names: Sequence[str], counts: Sequence[int], *, ends: tuple[str, str], height: int
) -> Histogram:
    slot, most = 100.0 / max(len(counts), 1), max(counts, default=0) or 1
    # A count above zero stays visible as one pixel.
    tops = [height - (max(number / most * height, 1.0) if number else 0.0) for number in counts]
    return Histogram(
        label=label,
        height=height,
        columns=("Range", "Rows"),
        rows=tuple(Row(name, (format_count(number),)) for name, number in zip(names, counts, strict=True)),
        bars=tuple(_bar(index * slot, slot, 0.9, height, top) for index, top in enumerate(tops)),
        low=ends[0],
        high=ends[1],
    )


def comparison(
    label: str,
    measured: Sequence[Measured],
    *,
    value_name: str,
    text: Format | None = None,
    reference: Measured | None = None,
    lower_is_better: bool = False,
    high: float | None = None,
) -> Comparison:
    """Horizontal bars from zero, in the given order, with intervals and a dashed reference; the best one stands out.

    Without `text` all numbers have the same decimals: four significant digits of the largest. Values below zero (an R2
    worse than the mean) are drawn as an empty bar; the number beside it tells them.
    """
    values = [one.value for one in measured]
    ends = [one.value + (one.error or 0.0) for one in measured] + ([reference.value] if reference else [])
    full = high if high is not None else max([*ends, 0.0]) or 1.0
    text = text or _aligned(max((abs(value) for value in values), default=1.0) or 1.0)
    best = (min if lower_is_better else max)(values, default=None)

    def across(value: float) -> float:
        return round(min(max(value / full, 0.0), 1.0) * 100, 3)

    return Comparison(
        label=label,
        value_name=value_name,
        rows=tuple(_comparison_row(one, text, across, is_best=one.value == best) for one in measured),
        reference=Tick(across(reference.value), f"{reference.name}: {text(reference.value)}") if reference else None,
    )


def _aligned(largest: float) -> Format:
    decimals = max(3 - math.floor(math.log10(largest)), 0) if largest < 1 else max(4 - len(str(int(largest))), 0)
    return lambda value: format_decimals(value, decimals)


def _comparison_row(one: Measured, text: Format, across: Callable[[float], float], *, is_best: bool) -> ComparisonRow:
    error = one.error
    return ComparisonRow(
        name=one.name,
        text=text(one.value) if error is None else f"{text(one.value)} ± {text(error)}",
        width=across(one.value),
        error_left=None if error is None else across(one.value - error),
        error_right=None if error is None else across(one.value + error),
        is_best=is_best,
    )
