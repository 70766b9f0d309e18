"""Bars over time, each made of the parts that add up to it. Imports no Django.

The same geometry as `charts`: percentages across, pixels down, and every number as text in the table behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apps.core.charts import NO_TIME, TOP, Format, Row, Series, Tick, time_labels, time_rows, time_ticks, value_ticks
from apps.core.formatting import format_significant

SHARE = 0.8
COLOURS = 8
LEAST_PX = 2.0  # of a bar that is there, however small beside the others
REST = 0  # the quiet colour of all the others together


@dataclass(frozen=True, slots=True)
class Part:
    """One series' part of a bar."""

    number: int
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Where one step stands, its parts from the bottom up, and the page of what it is made of."""

    label: str
    left: float
    width: float
    slot_left: float
    slot_width: float
    parts: tuple[Part, ...]
    href: str


@dataclass(frozen=True, slots=True)
class StackedChart:
    """`legend` are the colour's number and the name of each series."""

    label: str
    height: int
    bottom: float
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    bars: tuple[Bar, ...]
    legend: tuple[tuple[int, str], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    is_empty: bool

    @property
    def has_links(self) -> bool:
        return any(bar.href for bar in self.bars)


def stacked_chart(
    label: str,
    times: Sequence[datetime],
    series: Sequence[Series],
    *,
    rest: Series | None = None,
    text: Format = format_significant,
    hrefs: Sequence[str] = (),
    height: int = 220,
) -> StackedChart:
    """One bar for each of `times`, in their zone, of up to 8 series and all the others together as `rest`.

    A part below zero, which a stock that shrinks has, is drawn below the axis.
    """
    if len(series) > COLOURS:
        raise ValueError(f"More than {COLOURS} series cannot be told apart.")
    shown = [*enumerate(series, start=1), *([(REST, rest)] if rest else [])]
    bottom, slot = height - 20.0, 100.0 / max(len(times), 1)
    stacks = [[(number, one.values[at] or 0.0) for number, one in shown] for at in range(len(times))]
    ticks = value_ticks([_sum(stack, sign) for stack in stacks for sign in (1, -1)], 0.0)

    def down(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - TOP)

    def across(at: datetime) -> float:
        return (at.astimezone(UTC) - first) / step * slot + slot / 2

    first, span = _span(times)
    step = span / (len(times) - 1) if len(times) > 1 else timedelta(days=1)
    links = hrefs or [""] * len(times)
    columns = [one for _, one in shown]
    rows = time_rows(times, columns, text)
    return StackedChart(
        label=label,
        height=height,
        bottom=bottom,
        columns=("Time", *(one.name for one in columns)),
        rows=tuple(rows),
        bars=tuple(
            Bar(
                rows[at].label,
                round(at * slot + slot * (1 - SHARE) / 2, 3),
                round(slot * SHARE, 3),
                round(at * slot, 3),
                round(slot, 3),
                tuple(_parts(stack, down)),
                links[at],
            )
            for at, stack in enumerate(stacks)
        ),
        legend=tuple((number, one.name) for number, one in shown),
        x_ticks=tuple(time_labels(time_ticks(times[0], times[-1]), across, span)) if len(times) > 1 else (),
        y_ticks=tuple(Tick(down(value), text(value)) for value in ticks),
        is_empty=not any(value for stack in stacks for _, value in stack),
    )


def _span(times: Sequence[datetime]) -> tuple[datetime, timedelta]:
    start, end = (times[0], times[-1]) if times else (NO_TIME, NO_TIME)
    return start.astimezone(UTC), end.astimezone(UTC) - start.astimezone(UTC)


def _sum(stack: Sequence[tuple[int, float]], sign: int) -> float:
    return sum(value for _, value in stack if value * sign > 0)


def _parts(stack: Sequence[tuple[int, float]], down: Callable[[float], float]) -> list[Part]:
    """From the axis up, and from the axis down."""
    axis, found, ends = down(0.0), [], {True: 0.0, False: 0.0}
    stretches = {sign > 0: _stretch(abs(down(_sum(stack, sign)) - axis)) for sign in (1, -1)}
    for number, value in stack:
        if value:
            start, stretch = ends[value > 0], stretches[value > 0]
            ends[value > 0] = end = start + value
            first, last = ((down(at) - axis) * stretch + axis for at in (start, end))
            found.append(Part(number, round(min(first, last), 2), round(max(abs(last - first), 0.5), 2)))
    return found


def _stretch(height: float) -> float:
    return max(LEAST_PX / height, 1.0) if height else 1.0
