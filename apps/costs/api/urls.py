from typing import Any

from django.urls import path

from apps.costs.api.views import PriceOverrideApi, PricesApi

routes: list[tuple[str, Any]] = [("costs/overrides", PriceOverrideApi)]
paths = [path("costs/prices/", PricesApi.as_view({"get": "list"}), name="costs-prices")]
