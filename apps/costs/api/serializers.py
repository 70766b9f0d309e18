from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.strict import StrictSerializer
from apps.costs import catalog, services
from apps.costs.models import PriceOverride

PRICE_HELP = "Micro-USD for a million tokens; null: a call with such tokens is unpriced."
HELP = {
    "provider": {"help_text": "As `prices/` names it, such as `openai`; a host for one that the list does not know."},
    "model": {"help_text": "The provider's own name for it."},
    "effective_until": {"help_text": "The first day on which it counts no more; null for no end."},
    **{name: {"help_text": PRICE_HELP} for name in services.PRICES},
}
STEPS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
}
EXAMPLE = {"provider": "openai", "model": "gpt-4o", "input_price": 2_000_000, "output_price": 8_000_000}


def _today() -> date:
    return timezone.now().astimezone(UTC).date()


class PriceSerializer(serializers.ModelSerializer):
    class Meta:
        model = PriceOverride
        fields = ["id", "provider", "model", *services.COLUMNS, "created_at"]
        extra_kwargs = HELP


class PriceChangesSerializer(serializers.ModelSerializer):
    class Meta:
        model = PriceOverride
        fields = services.COLUMNS
        extra_kwargs = HELP


@extend_schema_serializer(examples=[OpenApiExample("A discount", EXAMPLE, request_only=True)])
class NewPriceSerializer(PriceChangesSerializer):
    effective_from = serializers.DateField(default=_today, help_text="The first day, in UTC; today if left out.")

    class Meta(PriceChangesSerializer.Meta):
        fields = ("provider", "model", *services.COLUMNS)
        validators: list[Any] = []  # the service tells what is taken


class PriceQuestionSerializer(StrictSerializer):
    kind = serializers.CharField(max_length=20, default="openai", help_text="The upstream's kind.")
    base_url = serializers.CharField(max_length=500, default="", help_text="The upstream's address.")
    model = serializers.CharField(max_length=200)


@extend_schema_field(
    {
        "oneOf": [{"type": "integer"}, STEPS],
        "nullable": True,
        "description": "Micro-USD for a million tokens, or steps of [above this much input, price]; null: unpriced.",
    }
)
class AmountField(serializers.Field):
    def to_representation(self, value: Any) -> Any:
        return value


class MomentField(serializers.DateTimeField):
    """Of seconds of the epoch; null where it is no bound."""

    def get_attribute(self, instance: Any) -> Any:
        seconds = instance.get(self.field_name)
        return datetime.fromtimestamp(seconds, UTC) if seconds else None


class ListedPriceSerializer(serializers.Serializer):
    until = MomentField(allow_null=True)
    hours = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="From and to, in seconds of the day (UTC)."
    )
    input = AmountField()
    cached = AmountField()
    cache_write = AmountField()
    output = AmountField()

    def get_fields(self) -> dict[str, Any]:
        source = serializers.ChoiceField(catalog.SOURCES)
        return {"source": source, "from": MomentField(allow_null=True), **super().get_fields()}


class PricesSerializer(serializers.Serializer):
    provider = serializers.CharField()
    model = serializers.CharField()
    is_priced = serializers.BooleanField(help_text="Whether a price counts now.")
    prices = ListedPriceSerializer(many=True, help_text="Of those that count at a moment, the last one does.")
