from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.audit import exports
from apps.audit.models import AuditEntry


class AuditEntrySerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEntry
        fields = exports.COLUMNS


class RetentionSerializer(serializers.Serializer):
    id = serializers.UUIDField(help_text="The organization's.")
    days = serializers.IntegerField(source="kept.days")
    shortest_days = serializers.IntegerField(source="kept.shortest")
    longest_days = serializers.IntegerField(source="kept.longest")


class RetentionChangeSerializer(serializers.Serializer):
    days = serializers.IntegerField(min_value=1, max_value=99_999)
    confirmed = serializers.BooleanField(
        default=False, help_text="That entries which are older shall go; without it, shortening is refused if any are."
    )


class ExportSerializer(serializers.Serializer):
    def get_fields(self) -> dict[str, Any]:
        # `as` is a word of Python's, so it cannot be an attribute.
        return {"as": serializers.ChoiceField(choices=list(exports.FORMATS), default="csv")}
