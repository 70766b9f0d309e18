from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import http, time_ranges
from apps.core.http import Request
from apps.gateway import queries, wording
from apps.gateway.models import Upstream
from apps.gateway.snippets import example, snippets


@http.page("gateway.read", methods=["GET", "HEAD"])
def route_list(request: Request) -> HttpResponse:
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""))
    figures = queries.figures_by("route", time_range, now)
    routes = queries.routes_with_targets()
    context = {
        "rows": [(route, figures.get(route.name)) for route in routes],
        "range": time_range,
        "has_upstreams": bool(routes) or Upstream.objects.exists(),
        "snippets": snippets(settings.EDGE_URL, example("small")),
    }
    return render(request, "gateway/route_list.html", context)


@http.page("gateway.read", methods=["GET", "HEAD"])
def route_detail(request: Request, route_id: UUID) -> HttpResponse:
    route = get_object_or_404(queries.routes_with_targets(), pk=route_id)
    targets = list(route.targets.all())
    context = {
        "route": route,
        "range": time_ranges.named(request.GET.get("range", "")),
        "promise": wording.promise(route, targets),
        "tiers": wording.tiers(route, targets),
        "snippets": snippets(settings.EDGE_URL, example(route.name)),
    }
    return render(request, "gateway/route_detail.html", context)
