from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.audit import exports
from apps.audit.models import AuditEntry


class AuditEntrySerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEntry
        fields = exports.COLUMNS


class ExportSerializer(serializers.Serializer):
    def get_fields(self) -> dict[str, Any]:
        # `as` is a word of Python's, so it cannot be an attribute.
        return {"as": serializers.ChoiceField(choices=list(exports.FORMATS), default="csv")}
