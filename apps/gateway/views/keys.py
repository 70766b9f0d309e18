from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http, paging
from apps.core.http import Request
from apps.gateway import queries
from apps.gateway.models import Route, VirtualKey
from apps.gateway.snippets import example, snippets


@http.page("gateway.read", methods=["GET", "HEAD"])
def key_list(request: Request) -> HttpResponse:
    page = paging.newest_first(queries.keys_with_tokens(), request.GET.get("cursor", ""))
    return render(request, "gateway/key_list.html", {"page": page})


@http.page("gateway.read", methods=["GET", "HEAD"])
def key_detail(request: Request, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(queries.keys_with_tokens(), pk=key_id)
    routes = _routes_of(key)
    model = routes[0].name if routes else "small"
    context = {"key": key, "routes": routes, "snippets": snippets(settings.EDGE_URL, example(model))}
    return render(request, "gateway/key_detail.html", context)


def _routes_of(key: VirtualKey) -> list[Route]:
    """Those it may use, the ones that are gone left out."""
    routes = Route.objects.order_by("name")
    return list(routes if key.routes is None else routes.filter(pk__in=key.routes))
