"""The page of what was used."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from apps.core import formatting, http, paging
from apps.core.downloads import Download
from apps.core.http import Request
from apps.core.time_ranges import TimeRange
from apps.usage import exports, queries, standing


@http.page("usage.read", methods=["GET", "HEAD"])
def usage(request: Request) -> HttpResponse:
    """What is left of the included amounts; then one meter, by a dimension and over time, down to its events."""
    now = timezone.localtime()
    time_range, group = queries.named_range(request.GET.get("range", "")), _group(request)
    used = queries.usage_by_meter({**request.GET.dict(), "meter": ""}, time_range, now)
    shown = next((one for one in used if one.value == request.GET.get("meter")), used[0] if used else None)
    context = {
        "standings": standing.standings(request.organization, now),
        "meters": [(one, _url(request, meter=one.value, at="")) for one in used],
        "groups": queries.GROUPS,
        "range": time_range,
        "ranges": queries.RANGES,
        "chips": _chips(request, time_range, now),
        **(_of_meter(request, shown, group, time_range, now) if shown else {}),
    }
    return render(request, "usage/usage.html", context)


def _of_meter(
    request: Request, shown: queries.MeterUsage, group: str, time_range: TimeRange, now: datetime
) -> dict[str, Any]:
    """The meter's chart, the parts below and its events; bars and parts open the events that they are made of."""
    given, steps = {**request.GET.dict(), "meter": shown.value}, time_range.steps(now)
    if group:
        queries.divide(shown, given, steps, group, queries.MOST_PARTS)
    page = paging.newest_first(queries.filtered(given, time_range, now), request.GET.get("cursor", ""))
    opened = partial(_url, request, "#events", meter=shown.value)
    return {
        "meter": shown,
        "group": group,
        "chart": shown.chart(steps, now.tzinfo, [opened(at=formatting.format_iso(at)) for at in steps]),
        "parts": [(part, part.value and opened(**{group: part.value})) for part in shown.shown_parts],
        "page": page,
        "events": queries.shown_events(page.rows),
    }


def _group(request: Request) -> str:
    given = request.GET.get("group", "")
    return given if given in queries.DIMENSIONS else ""


def _chips(request: Request, time_range: TimeRange, now: datetime) -> list[queries.Chip]:
    """The filters that are on."""
    span = queries.step_at(request.GET, time_range, now)
    start, end = (formatting.format_time(at.astimezone(now.tzinfo), seconds=False) for at in span) if span else ("", "")
    step = [queries.Chip("at", "Time", f"{start} to {end}")] if span else []
    return [*queries.chips(request.GET, queries.DIMENSIONS), *step]


def _url(request: Request, anchor: str = "", **chosen: str) -> str:
    """The page with other parameters; an empty one is left out."""
    parameters = {**request.GET.dict(), **chosen, "cursor": ""}
    return f"?{urlencode({name: value for name, value in parameters.items() if value})}{anchor}"


@http.page("usage.read", methods=["GET", "HEAD"])
def usage_export(request: Request) -> HttpResponseBase:
    """The filtered events as CSV that is safe to open in a spreadsheet."""
    now = timezone.localtime()
    time_range = queries.named_range(request.GET.get("range", ""))
    file = exports.csv_file(queries.filtered(request.GET, time_range, now))
    name = f"usage-{formatting.format_day(now)}.csv"
    return Download(file, as_attachment=True, filename=name, content_type="text/csv")
