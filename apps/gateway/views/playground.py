"""Trying a route in the browser: the page calls the data plane itself, with a pass that lasts a minute."""

from __future__ import annotations

from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from apps.core import http
from apps.core.http import Request
from apps.gateway import attempts
from apps.gateway.forms.playground import PlaygroundForm
from apps.gateway.models import ModelCall, Route
from apps.gateway.snippets import example, snippets
from apps.organizations import services as organizations

SOURCE = "playground"


@csp_update({"connect-src": [settings.EDGE_URL]})
@http.page("gateway.call", methods=["GET", "HEAD"])
def playground(request: Request) -> HttpResponse:
    names = _route_names()
    wanted = request.GET.get("route", "")
    chosen = wanted if wanted in names else next(iter(names), "")
    context = {
        "form": PlaygroundForm(names=names, initial={"route": chosen}),
        "has_routes": bool(names),
        "edge_url": settings.EDGE_URL,
        "snippets": snippets(settings.EDGE_URL, example(chosen)),
    }
    return render(request, "gateway/playground.html", context)


@http.page("gateway.call", methods=["POST"])
@never_cache
def playground_pass(request: Request) -> HttpResponse:
    """What to send, and the pass to send it with; 422 for what the form refuses."""
    form = PlaygroundForm(request.POST, names=_route_names())
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    bearer = organizations.issue_pass("gateway.call", source=SOURCE, by=request.actor)
    return JsonResponse({"bearer": bearer, "body": {**form.body(), "stream": True}})


@http.page("gateway.call", methods=["POST"])
def playground_snippet(request: Request) -> HttpResponse:
    """A fragment: the call in the form as code."""
    form = PlaygroundForm(request.POST, names=_route_names())
    body = form.body() if form.is_valid() else example(request.POST.get("route", ""))
    return http.fragment(request, "gateway/snippets.html", {"snippets": snippets(settings.EDGE_URL, body)})


@http.page("model_calls.read", methods=["GET", "HEAD"])
def playground_call(request: Request, request_id: str) -> HttpResponse:
    """A fragment: what became of the call that the playground made; 204 until it is recorded."""
    call = ModelCall.objects.filter(request_id=request_id).order_by("-id").first()
    if call is None:
        return HttpResponse(status=204)
    context = {"call": call, "attempts": attempts.timeline(call)}
    return http.fragment(request, "gateway/playground_call.html", context)


def _route_names() -> list[str]:
    return list(Route.objects.filter(is_paused=False).order_by("name").values_list("name", flat=True))
