"""The page of what was used."""

from __future__ import annotations

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from apps.core import formatting, http, paging, time_ranges
from apps.core.downloads import Download
from apps.core.http import Request
from apps.usage import exports, queries


@http.page("usage.read", methods=["GET", "HEAD"])
def usage(request: Request) -> HttpResponse:
    now = timezone.localtime()
    time_range = time_ranges.named(request.GET.get("range", ""), time_ranges.WEEK)
    events = queries.filtered(request.GET, time_range, now)
    page = paging.newest_first(events, request.GET.get("cursor", ""))
    used = queries.usage_by_meter(request.GET, time_range, now)
    context = {
        "page": page,
        "meters": used,
        "charts": [(one, one.chart(time_range.steps(now), now.tzinfo)) for one in used],
        "choices": queries.choices(time_range, now),
        "range": time_range,
        "events": queries.shown_events(page.rows),
    }
    return render(request, "usage/usage.html", context)


@http.page("usage.read", methods=["GET", "HEAD"])
def usage_export(request: Request) -> HttpResponseBase:
    """The filtered events as CSV that is safe to open in a spreadsheet."""
    now = timezone.localtime()
    time_range = time_ranges.named(request.GET.get("range", ""), time_ranges.WEEK)
    file = exports.csv_file(queries.filtered(request.GET, time_range, now))
    name = f"usage-{formatting.format_day(now)}.csv"
    return Download(file, as_attachment=True, filename=name, content_type="text/csv")
