"""The attempts of one call as a picture of what happened when. Pure but for the row it is handed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from apps.core import timelines
from apps.core.formatting import format_duration
from apps.gateway.models import ModelCall

COLUMNS = ("Upstream", "Model", "Took", "Status", "What went wrong")


def timeline(call: ModelCall) -> timelines.Timeline | None:
    """None for a call that no upstream was asked about. Hedges run beside the attempt before them."""
    if not call.attempts:
        return None
    at = call.occurred_at
    tracks: list[timelines.Track] = []
    for number, attempt in enumerate(call.attempts, 1):
        start = tracks[-1].spans[0].start if attempt.get("is_hedge") and tracks else at
        span = _span(number, attempt, start)
        tracks.append(timelines.Track(f"Attempt {number}", [span]))
        at = max(at, span.end)
    return timelines.timeline("Attempts", tracks, COLUMNS)


def _span(number: int, attempt: dict[str, Any], start: datetime) -> timelines.Span:
    took_ms, error_class = attempt["took_ms"], attempt["error_class"]
    cells = (
        attempt["upstream"],
        attempt["model"],
        format_duration(took_ms),
        str(attempt["status"] or "none"),
        ": ".join(text for text in (error_class.replace("_", " "), attempt["message"]) if text),
    )
    look = "danger" if error_class else "success"
    return timelines.Span(start, start + timedelta(milliseconds=took_ms), look, f"Attempt {number}", cells)
