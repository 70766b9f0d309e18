from __future__ import annotations

from functools import partial
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache

from apps.core import http, paging
from apps.core.forms import submit
from apps.core.http import Request
from apps.gateway import queries, services
from apps.gateway.forms.keys import KeyForm
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


@http.page("gateway.write")
@never_cache
def key_create(request: Request) -> HttpResponse:
    form = KeyForm(request.POST or None)
    if request.method == "POST" and (made := submit(form, partial(services.create_key, by=request.actor))):
        return _issued(request, *made)
    return render(request, "gateway/key_create.html", {"form": form}, status=422 if form.errors else 200)


@http.page("gateway.write", methods=["POST"])
def key_revoke(request: Request, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(queries.keys_with_tokens(), pk=key_id)
    services.delete_key(key, by=request.actor)
    messages.success(request, f"{key.token.name} was revoked.")
    return http.redirect(request, http.link(request.organization, "gateway:key-list"))


def _issued(request: Request, key: VirtualKey, text: str) -> HttpResponse:
    """The only answer that shows the key's text."""
    routes = _routes_of(key)
    model = routes[0].name if routes else "small"
    context = {"key": key, "text": text, "snippets": snippets(settings.EDGE_URL, example(model))}
    return render(request, "gateway/key_issued.html", context)


def _routes_of(key: VirtualKey) -> list[Route]:
    """Those it may use, the ones that are gone left out."""
    routes = Route.objects.order_by("name")
    return list(routes if key.routes is None else routes.filter(pk__in=key.routes))
