"""The page of what was used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from apps.core import formatting, http, paging
from apps.core.downloads import Download
from apps.core.http import Request
from apps.core.time_ranges import TimeRange
from apps.usage import exports, queries, standing

UNSEEN = ("user", "deployment", "prompt", "tag")


@http.page("usage.read", methods=["GET", "HEAD"])
def usage(request: Request) -> HttpResponse:
    now = timezone.localtime()
    time_range = queries.named_range(request.GET.get("range", ""))
    group = _group(request)
    events = queries.filtered(request.GET, time_range, now)
    page = paging.newest_first(events, request.GET.get("cursor", ""))
    used = queries.usage_by_meter(request.GET, time_range, now, group)
    context = {
        "standings": standing.standings(request.organization, now),
        "page": page,
        "meters": used,
        "charts": _charts(request, used, group, time_range, now),
        "choices": queries.choices(time_range, now),
        "groups": queries.GROUPS,
        "group": group,
        "range": time_range,
        "ranges": queries.RANGES,
        "chips": _chips(request, time_range, now),
        "events": queries.shown_events(page.rows),
    }
    return render(request, "usage/usage.html", context)


def _group(request: Request) -> str:
    given = request.GET.get("group", "")
    return given if given in queries.DIMENSIONS else ""


def _chips(request: Request, time_range: TimeRange, now: datetime) -> list[queries.Chip]:
    """The filters that no group of choices shows."""
    span = queries.step_at(request.GET, time_range, now)
    start, end = (formatting.format_time(at.astimezone(now.tzinfo), seconds=False) for at in span) if span else ("", "")
    step = [queries.Chip("at", "Time", f"{start} to {end}")] if span else []
    return [*queries.chips(request.GET, UNSEEN), *step]


def _charts(
    request: Request, used: list[queries.MeterUsage], group: str, time_range: TimeRange, now: datetime
) -> list[dict[str, Any]]:
    """Each meter with its chart and the parts below; bars and parts open the events that they are made of."""
    steps = time_range.steps(now)
    return [
        {
            "meter": one,
            "chart": one.chart(steps, now.tzinfo, [_url(request, one, at=formatting.format_iso(at)) for at in steps]),
            "parts": [(part, part.value and _url(request, one, **{group: part.value})) for part in one.shown_parts],
        }
        for one in used
    ]


def _url(request: Request, used: queries.MeterUsage, **chosen: str) -> str:
    parameters = request.GET.copy()
    parameters.pop("cursor", None)
    for name, value in {"meter": used.value, **chosen}.items():
        parameters[name] = value
    return f"?{parameters.urlencode()}#events"


@http.page("usage.read", methods=["GET", "HEAD"])
def usage_export(request: Request) -> HttpResponseBase:
    """The filtered events as CSV that is safe to open in a spreadsheet."""
    now = timezone.localtime()
    time_range = queries.named_range(request.GET.get("range", ""))
    file = exports.csv_file(queries.filtered(request.GET, time_range, now))
    name = f"usage-{formatting.format_day(now)}.csv"
    return Download(file, as_attachment=True, filename=name, content_type="text/csv")
