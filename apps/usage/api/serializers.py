from __future__ import annotations

from rest_framework import serializers

from apps.core.time_ranges import RANGES
from apps.usage.models import UsageEvent


class UsageEventSerializer(serializers.ModelSerializer):
    class Meta:
        model = UsageEvent
        fields = ["id", "occurred_at", "meter", "quantity", "cost_micro_usd", "dimensions"]


class UsageQuerySerializer(serializers.Serializer):
    range = serializers.ChoiceField(choices=list(RANGES), default="30d")
    meter = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    token = serializers.CharField(required=False)


class UsageStepSerializer(serializers.Serializer):
    at = serializers.DateTimeField(help_text="Beginning of the step.")
    quantity = serializers.IntegerField()


class MeterUsageSerializer(serializers.Serializer):
    meter = serializers.CharField()
    quantity = serializers.IntegerField()
    cost_micro_usd = serializers.IntegerField(allow_null=True, help_text="Provider cost; null when nothing had one.")
    event_count = serializers.IntegerField()
    steps = UsageStepSerializer(many=True, help_text="Only steps in which something was counted.")


class UsageSerializer(serializers.Serializer):
    start = serializers.DateTimeField()
    step_seconds = serializers.IntegerField()
    meters = MeterUsageSerializer(many=True)
