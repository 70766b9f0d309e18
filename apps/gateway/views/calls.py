from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import formatting, http, paging, time_ranges
from apps.core.downloads import Download
from apps.core.http import Request
from apps.gateway import attempts, exports, queries
from apps.gateway.models import ModelCall
from apps.logs.queries import token_name


@http.page("model_calls.read", methods=["GET", "HEAD"])
def call_list(request: Request) -> HttpResponse:
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""))
    page = paging.newest_first(queries.filtered(request.GET, time_range, now), request.GET.get("cursor", ""))
    context = {"page": page, "choices": queries.choices(time_range, now), "range": time_range}
    return render(request, "gateway/call_list.html", context)


@http.page("model_calls.read", methods=["GET", "HEAD"])
def call_chart(request: Request) -> HttpResponse:
    """A fragment for the pages of calls, routes and keys: the filtered calls over time."""
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""))
    drawn = queries.call_charts(queries.filtered(request.GET, time_range, now), time_range, now)
    return http.fragment(request, "gateway/call_chart.html", {"drawn": drawn, "range": time_range})


@http.page("model_calls.read", methods=["GET", "HEAD"])
def call_export(request: Request) -> HttpResponseBase:
    """The filtered calls as CSV, all of them."""
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""))
    file = exports.csv_file(queries.filtered(request.GET, time_range, now))
    name = f"model-calls-{formatting.format_day(now)}.csv"
    return Download(file, as_attachment=True, filename=name, content_type="text/csv")


@http.page("model_calls.read", methods=["GET", "HEAD"])
def call_detail(request: Request, model_call_id: UUID) -> HttpResponse:
    call = get_object_or_404(ModelCall, pk=model_call_id)
    context = {
        "call": call,
        "attempts": attempts.timeline(call),
        "token_name": token_name(call.token_id),
        "body": queries.kept_body(call),
    }
    return render(request, "gateway/call_detail.html", context)
