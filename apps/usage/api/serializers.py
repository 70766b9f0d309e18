from __future__ import annotations

from rest_framework import serializers

from apps.usage.forecasting import Outlook
from apps.usage.models import DIMENSIONS, UsageEvent
from apps.usage.queries import RANGES


class UsageEventSerializer(serializers.ModelSerializer):
    class Meta:
        model = UsageEvent
        fields = ["id", "occurred_at", "meter", "quantity", "cost_micro_usd", "dimensions"]


class UsageQuerySerializer(serializers.Serializer):
    range = serializers.ChoiceField(choices=list(RANGES), default="30d")
    group_by = serializers.ChoiceField(
        choices=list(DIMENSIONS), required=False, help_text="Divides each meter by the values of a dimension."
    )
    meter = serializers.CharField(required=False)
    token = serializers.CharField(required=False)
    user = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    deployment = serializers.CharField(required=False)
    prompt = serializers.CharField(required=False)
    tag = serializers.CharField(required=False)


class UsageStepSerializer(serializers.Serializer):
    at = serializers.DateTimeField(help_text="Beginning of the step.")
    quantity = serializers.IntegerField()


class UseSerializer(serializers.Serializer):
    quantity = serializers.IntegerField()
    cost_micro_usd = serializers.IntegerField(allow_null=True, help_text="Provider cost; null when nothing had one.")
    event_count = serializers.IntegerField()
    steps = UsageStepSerializer(many=True, help_text="Only steps in which something was counted.")


class UsageGroupSerializer(UseSerializer):
    value = serializers.CharField(
        allow_null=True, help_text="Empty: events without the dimension. Null: all values behind the largest 1,000."
    )
    label = serializers.CharField(help_text="What people call the value.")  # type: ignore[assignment]


class MeterUsageSerializer(UseSerializer):
    meter = serializers.CharField()
    groups = UsageGroupSerializer(many=True, help_text="With `group_by`: the largest first.")


class UsageSerializer(serializers.Serializer):
    start = serializers.DateTimeField()
    step_seconds = serializers.IntegerField()
    meters = MeterUsageSerializer(many=True)


class ForecastSerializer(serializers.Serializer):
    outlook = serializers.ChoiceField(choices=[(one.value, one.value) for one in Outlook])
    runs_out_on = serializers.DateField(source="day", allow_null=True, help_text="A day of UTC.")
    expected = serializers.IntegerField(allow_null=True, help_text="What will have been used when the period ends.")


class QuotaSerializer(serializers.Serializer):
    meter = serializers.CharField(source="meter.name")
    unit = serializers.CharField(source="meter.unit")
    used = serializers.IntegerField(help_text="In this calendar month of UTC; of a stock, what is there now.")
    included = serializers.IntegerField(source="amount.included", allow_null=True, help_text="Null: unlimited.")
    is_hard = serializers.BooleanField(source="amount.is_hard", help_text="Whether more than that is refused.")
    period_end = serializers.DateTimeField(allow_null=True, help_text="When it begins anew; null for a stock.")
    override_ends_at = serializers.DateTimeField(
        source="amount.override.ends_at", allow_null=True, default=None, help_text="Until then it is not the plan's."
    )
    forecast = ForecastSerializer(allow_null=True)


class QuotasSerializer(serializers.Serializer):
    plan = serializers.CharField()
    quotas = QuotaSerializer(many=True)
