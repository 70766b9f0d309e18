from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import http
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.costs import catalog, pricing
from apps.costs import services as costs
from apps.costs.models import PriceOverride
from apps.gateway import prices
from apps.gateway.forms.prices import CalculatorForm, PriceEditForm, PriceForm, today


@http.page("prices.read", methods=["GET", "HEAD"])
def price_list(request: Request) -> HttpResponse:
    models = prices.priced_models(timezone.now())
    own = PriceOverride.objects.order_by("provider", "model", "-effective_from")
    context = {
        "models": models,
        "unpriced_count": sum(one.current is None for one in models),
        "own": [(price, prices.counting(price, today()), prices.own_amounts(price)) for price in own],
        "list_name": catalog.LIST_NAME,
        **_calculated(request.GET, models),
    }
    return render(request, "gateway/price_list.html", context)


@http.page("prices.write")
def price_create(request: Request) -> HttpResponse:
    given = {name: request.GET[name] for name in ("provider", "model") if name in request.GET}
    form = PriceForm(request.POST or None, initial=given)
    if request.method == "POST" and (price := submit(form, partial(costs.create_price, by=request.actor))):
        messages.success(request, f"The price of {price.model} counts from its day on.")
        return _to_list(request)
    return render(request, "gateway/price_create.html", {"form": form}, status=422 if form.errors else 200)


@http.page("prices.write")
def price_edit(request: Request, price_id: UUID) -> HttpResponse:
    price = get_object_or_404(PriceOverride, pk=price_id)
    form = PriceEditForm(request.POST or None, row=price)
    if request.method == "POST":
        saved = submit_edit(form, partial(costs.update_price, price, by=request.actor))
        if saved:
            return _to_list(request)
    context = {"form": form, "price": price}
    return render(request, "gateway/price_edit.html", context, status=422 if form.errors else 200)


@http.page("prices.write", methods=["POST"])
def price_delete(request: Request, price_id: UUID) -> HttpResponse:
    costs.delete_price(get_object_or_404(PriceOverride, pk=price_id), by=request.actor)
    messages.success(request, "The price was deleted.")
    return _to_list(request)


def _calculated(given: Mapping[str, Any], models: list[prices.PricedModel]) -> dict[str, Any]:
    """The calculator, and what it says once something was typed."""
    form = CalculatorForm(given if "model" in given else None, models=[(one.key, one.key) for one in models])
    if not form.is_bound or not form.is_valid():
        return {"calculator": form, "calculated": None}
    chosen = next(one for one in models if one.key == form.cleaned_data["model"])
    parts = prices.cost_of(chosen, {meter: form.cleaned_data[meter] or 0 for meter in pricing.CLASSES})
    total = None if parts is None else prices.exact(sum(part.micro for part in parts))
    return {"calculator": form, "calculated": {"model": chosen, "parts": parts, "total": total}}


def _to_list(request: Request) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "gateway:price-list"))
