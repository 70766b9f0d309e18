from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from apps.core import http, paging
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.gateway import budgets, queries, services, spending
from apps.gateway.enums import BudgetPeriod
from apps.gateway.forms.keys import RENEWS, KeyEditForm, KeyForm
from apps.gateway.models import Route, VirtualKey
from apps.gateway.snippets import example, snippets

NEARLY = 0.8


@http.page("gateway.read", methods=["GET", "HEAD"])
def key_list(request: Request) -> HttpResponse:
    page = paging.newest_first(queries.keys_with_tokens(), request.GET.get("cursor", ""))
    spent = spending.used_by(page.rows)
    rows = [(key, spent.get(key.pk)) for key in page.rows]
    return render(request, "gateway/key_list.html", {"page": page, "rows": rows})


@http.page("gateway.read", methods=["GET", "HEAD"])
def key_detail(request: Request, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(queries.keys_with_tokens(), pk=key_id)
    routes = _routes_of(key)
    model = routes[0].name if routes else "small"
    told = {"renews": RENEWS[BudgetPeriod(key.budget_period)], **_budget(key)}
    context = {"key": key, "routes": routes, "snippets": snippets(settings.EDGE_URL, example(model)), **told}
    return render(request, "gateway/key_detail.html", context)


@http.page("gateway.write")
@never_cache
def key_create(request: Request) -> HttpResponse:
    form = KeyForm(request.POST or None)
    if request.method == "POST" and (made := submit(form, partial(services.create_key, by=request.actor))):
        return _issued(request, *made)
    return render(request, "gateway/key_create.html", {"form": form}, status=422 if form.errors else 200)


@http.page("gateway.write")
def key_edit(request: Request, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(queries.keys_with_tokens(), pk=key_id)
    form = KeyEditForm(request.POST or None, row=key)
    changed = submit_edit(form, lambda **given: services.update_key(key, **given, by=request.actor))
    if request.method == "POST" and changed:
        return http.redirect(request, http.link(request.organization, "gateway:key-detail", key.pk))
    context = {"form": form, "key": key}
    return render(request, "gateway/key_edit.html", context, status=422 if form.errors else 200)


@http.page("gateway.write", methods=["POST"])
def key_revoke(request: Request, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(queries.keys_with_tokens(), pk=key_id)
    services.delete_key(key, by=request.actor)
    messages.success(request, f"{key.token.name} was revoked.")
    return http.redirect(request, http.link(request.organization, "gateway:key-list"))


def _budget(key: VirtualKey) -> dict[str, Any]:
    """What is spent of the key's budget, its share, and when the next one begins."""
    spent = spending.used_by([key]).get(key.pk)
    if spent is None or key.budget_micro_usd is None:
        return {"spent": None}
    share = spent / key.budget_micro_usd if key.budget_micro_usd else 1.0
    tone = "danger" if share >= 1 else "warning" if share >= NEARLY else ""
    renewed = budgets.renewed_at(BudgetPeriod(key.budget_period), timezone.now())
    return {"spent": spent, "spent_share": share, "spent_tone": tone, "renewed_at": renewed}


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
