from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import http, time_ranges
from apps.core.http import Request
from apps.gateway import queries
from apps.gateway.models import Upstream


@http.page("gateway.read", methods=["GET", "HEAD"])
def upstream_list(request: Request) -> HttpResponse:
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""))
    figures = queries.figures_by("upstream_id", time_range, now)
    upstreams = Upstream.objects.prefetch_related("keys").order_by("name")
    context = {"rows": [(upstream, figures.get(upstream.pk)) for upstream in upstreams], "range": time_range}
    return render(request, "gateway/upstream_list.html", context)


@http.page("gateway.read", methods=["GET", "HEAD"])
def upstream_detail(request: Request, upstream_id: UUID) -> HttpResponse:
    upstream = get_object_or_404(Upstream.objects.prefetch_related("keys", "targets__route"), pk=upstream_id)
    return render(request, "gateway/upstream_detail.html", {"upstream": upstream})
