from rest_framework import serializers

from apps.audit.models import AuditEntry


class AuditEntrySerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEntry
        fields = [
            "id",
            "created_at",
            "actor_kind",
            "actor_id",
            "actor_label",
            "action",
            "subject_type",
            "subject_id",
            "subject_label",
            "changes",
            "request_id",
            "address",
        ]
