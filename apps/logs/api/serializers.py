from __future__ import annotations

from rest_framework import serializers

from apps.logs.models import CallRecord


class CallRecordSerializer(serializers.ModelSerializer):
    class Meta:
        model = CallRecord
        fields = [
            "id",
            "request_id",
            "occurred_at",
            "method",
            "path",
            "route",
            "status",
            "error_code",
            "latency_us",
            "request_bytes",
            "response_bytes",
            "model",
            "token_id",
            "deployment_id",
            "replica_id",
            "client",
        ]
