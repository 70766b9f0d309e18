from __future__ import annotations

from rest_framework import serializers

from apps.organizations.models import Organization


class OrganizationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organization
        fields = ["id", "slug", "name", "created_at"]
        read_only_fields = ["id", "slug", "created_at"]


class CallerSerializer(serializers.Serializer):
    kind = serializers.CharField()
    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    organization = OrganizationSerializer()
    permissions = serializers.ListField(child=serializers.CharField())
