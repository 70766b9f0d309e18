from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import http, time_ranges, time_zones
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.gateway import prices, queries, services, wording
from apps.gateway.forms.routes import RouteEditForm, RouteForm, chosen_targets, target_forms, with_another_row
from apps.gateway.models import Route, Upstream
from apps.gateway.snippets import example, snippets
from apps.organizations.errors import ConfirmationMismatch


@http.page("gateway.read", methods=["GET", "HEAD"])
def route_list(request: Request) -> HttpResponse:
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""))
    figures = queries.figures_by("route", time_range, now)
    routes = queries.routes_with_targets()
    context = {
        "rows": [(route, figures.get(route.name)) for route in routes],
        "range": time_range,
        "has_upstreams": Upstream.objects.exists(),
        "offers_local": bool(settings.LLM_URL),
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
        "tiers": wording.tiers(route, targets, prices.told_of(targets, timezone.now())),
        "snippets": snippets(settings.EDGE_URL, example(route.name)),
    }
    return render(request, "gateway/route_detail.html", context)


@http.page("gateway.write")
def route_create(request: Request) -> HttpResponse:
    def created(form: RouteForm, targets: list[Any]) -> Route | None:
        return submit(form, lambda **given: services.create_route(**given, targets=targets, by=request.actor))

    return _edited(request, RouteForm(request.POST or None), None, created)


@http.page("gateway.write")
def route_edit(request: Request, route_id: UUID) -> HttpResponse:
    route = _route(route_id)

    def updated(form: RouteEditForm, targets: list[Any]) -> Route | None:
        return submit_edit(
            form, lambda **given: services.update_route(route, **given, targets=targets, by=request.actor)
        )

    return _edited(request, RouteEditForm(request.POST or None, row=route), route, updated)


@http.page("gateway.write", methods=["POST"])
def route_pause(request: Request, route_id: UUID) -> HttpResponse:
    return _go_to(request, services.update_route(_route(route_id), is_paused=True, by=request.actor))


@http.page("gateway.write", methods=["POST"])
def route_resume(request: Request, route_id: UUID) -> HttpResponse:
    return _go_to(request, services.update_route(_route(route_id), is_paused=False, by=request.actor))


@http.page("gateway.write", methods=["POST"])
def route_cache_clear(request: Request, route_id: UUID) -> HttpResponse:
    route = _route(route_id)
    services.clear_cache(route, by=request.actor)
    messages.success(request, f"{route.name} has forgotten its answers.")
    return _go_to(request, route)


@http.page("gateway.write", methods=["POST"])
def route_delete(request: Request, route_id: UUID) -> HttpResponse:
    route = _route(route_id)
    if request.POST.get("confirmation") != route.name:
        raise ConfirmationMismatch(field="confirmation", name=route.name)
    services.delete_route(route, by=request.actor)
    messages.success(request, f"{route.name} was deleted.")
    return http.redirect(request, http.link(request.organization, "gateway:route-list"))


def _edited(request: Request, form: Any, route: Route | None, save: Any) -> HttpResponse:
    """The form, again with one row more where that was asked for, or the way to what `save` made of it."""
    is_adding = "add" in request.POST
    typed = with_another_row(request.POST) if is_adding else request.POST or None
    rows = target_forms(typed, route)
    if request.method == "POST" and not is_adding and rows.is_valid() and (saved := save(form, chosen_targets(rows))):
        return _go_to(request, saved)
    context = {
        "form": form,
        "rows": rows,
        "route": route,
        "zones": time_zones.offered(timezone.now()),
        "has_places": len(rows.empty_form.fields["place"].choices) > 1,
    }
    is_wrong = request.method == "POST" and not is_adding
    return render(request, "gateway/route_form.html", context, status=422 if is_wrong else 200)


def _route(route_id: UUID) -> Route:
    return get_object_or_404(Route, pk=route_id)


def _go_to(request: Request, route: Route) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "gateway:route-detail", route.pk))
