"""What happened when, as bars along a time axis: the geometry that a template draws. Imports no Django."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apps.core.charts import Row, Tick, time_labels, time_ticks

TRACK_PX = 28
BAR_PX = 14
AXIS_PX = 22
# A bar stays visible, and can be pointed at, however short it lasted.
LEAST_WIDTH = 0.6
MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in a track. `look` is one of LOOKS; `cells` tell it in the table behind the picture."""

    start: datetime
    end: datetime
    look: str
    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Track:
    name: str
    spans: Sequence[Span]


LOOKS = {
    "waiting": "Waiting",
    "pausing": "Backing off",
    "running": "Running",
    "success": "Succeeded",
    "danger": "Went wrong",
    "stopped": "Stopped",
}


@dataclass(frozen=True, slots=True)
class Bar:
    left: float
    width: float
    top: float
    height: float
    look: str


@dataclass(frozen=True, slots=True)
class Timeline:
    label: str
    height: int
    bottom: float
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    tracks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    looks: tuple[tuple[str, str], ...]


def timeline(label: str, tracks: Sequence[Track], columns: Sequence[str]) -> Timeline:
    """The tracks under each other on one axis, from the first span's start to the last one's end.

    `columns` name the cells of spans. Times are labelled in their own zone.
    """
    spans = [(number, span) for number, track in enumerate(tracks) for span in track.spans]
    start = min(span.start for _, span in spans)
    end = max(*(span.end for _, span in spans), start + timedelta(milliseconds=1))
    first, length = start.astimezone(UTC), end.astimezone(UTC) - start.astimezone(UTC)
    bottom = float(TRACK_PX * len(tracks))

    def across(at: datetime) -> float:
        return 100.0 * ((at.astimezone(UTC) - first) / length)

    shown = {span.look for _, span in spans}
    return Timeline(
        label=label,
        height=round(bottom) + AXIS_PX,
        bottom=bottom,
        columns=("Span", *columns),
        rows=tuple(Row(span.name, span.cells) for _, span in spans),
        tracks=tuple(Tick((number + 0.5) * TRACK_PX, track.name) for number, track in enumerate(tracks)),
        bars=tuple(_bar(number, across(span.start), across(span.end), span.look) for number, span in spans),
        x_ticks=tuple(time_labels(time_ticks(start, end, MOST_TICKS) or [start], across, length)),
        looks=tuple((look, words) for look, words in LOOKS.items() if look in shown),
    )


def _bar(number: int, left: float, right: float, look: str) -> Bar:
    left = min(left, 100.0 - LEAST_WIDTH)
    top = number * TRACK_PX + (TRACK_PX - BAR_PX) / 2
    return Bar(round(left, 3), round(max(right - left, LEAST_WIDTH), 3), top, BAR_PX, look)
