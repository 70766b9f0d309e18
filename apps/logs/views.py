"""The pages of calls through the data plane."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import http, paging, time_ranges
from apps.core.http import Request
from apps.logs import queries
from apps.logs.models import CallRecord


@http.page("calls.read", methods=["GET", "HEAD"])
def call_list(request: Request) -> HttpResponse:
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""), time_ranges.HOUR)
    page = paging.newest_first(queries.filtered(request.GET, time_range, now), request.GET.get("cursor", ""))
    context = {"page": page, "choices": queries.choices(time_range, now), "range": time_range}
    return render(request, "logs/call_list.html", context)


@http.page("calls.read", methods=["GET", "HEAD"])
def call_chart(request: Request) -> HttpResponse:
    """A fragment for the pages of calls and deployments: the filtered calls over time."""
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""), time_ranges.HOUR)
    drawn = queries.call_charts(queries.filtered(request.GET, time_range, now), time_range, now)
    return http.fragment(request, "logs/call_chart.html", {"drawn": drawn, "range": time_range})


@http.page("calls.read", methods=["GET", "HEAD"])
def call_detail(request: Request, call_id: UUID) -> HttpResponse:
    call = get_object_or_404(CallRecord, pk=call_id)
    context = {"call": call, "token_name": queries.token_name(call.token_id)}
    return render(request, "logs/call_detail.html", context)
