from __future__ import annotations

import time
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import InTenant, WrittenApi
from apps.costs import catalog, pricing, services
from apps.costs.api import serializers
from apps.costs.models import PriceOverride


class PriceOverrideApi(WrittenApi):
    """Prices of your own, which count instead of the list's from their day on."""

    permission_area = "prices"
    queryset = PriceOverride.objects.all()
    serializer_class = serializers.PriceSerializer
    new_serializer = serializers.NewPriceSerializer
    changes_serializer = serializers.PriceChangesSerializer
    filterset_fields = ["provider", "model"]
    edited_fields = services.COLUMNS

    def add(self, **columns: Any) -> PriceOverride:
        return services.create_price(**columns, by=self.actor)

    def change(self, row: PriceOverride, **columns: Any) -> PriceOverride:
        return services.update_price(row, **columns, by=self.actor)

    def remove(self, row: PriceOverride) -> None:
        services.delete_price(row, by=self.actor)


class PricesApi(InTenant, viewsets.ViewSet):
    """What models cost."""

    permission_area = "prices"

    @extend_schema(
        operation_id="costs_prices",
        parameters=[serializers.PriceQuestionSerializer],
        responses=serializers.PricesSerializer,
    )
    def list(self, request: Request) -> Response:
        """The prices of one model at one upstream, the list's and your own, oldest first."""
        question = serializers.PriceQuestionSerializer(data=request.query_params.dict())
        question.is_valid(raise_exception=True)
        kind, base_url, model = (question.validated_data[name] for name in ("kind", "base_url", "model"))
        found = catalog.book().prices(kind, base_url, model)
        answer = {
            "provider": catalog.provider_of(kind, base_url),
            "model": model,
            "is_priced": pricing.in_force(found, time.time()) is not None,
            "prices": found,
        }
        return Response(serializers.PricesSerializer(answer).data)
