from __future__ import annotations

from rest_framework import serializers

from apps.organizations.models import ApiToken
from apps.organizations.permissions import ALL


class ApiTokenSerializer(serializers.ModelSerializer):
    class Meta:
        model = ApiToken
        fields = [
            "id",
            "name",
            "scopes",
            "expires_at",
            "revoked_at",
            "last_used_at",
            "last_used_address",
            "created_at",
        ]


class NewTokenSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=sorted(ALL)), allow_empty=False)
    expires_at = serializers.DateTimeField(required=False)


class IssuedTokenSerializer(ApiTokenSerializer):
    token = serializers.CharField(help_text="Shown this once.")

    class Meta(ApiTokenSerializer.Meta):
        fields = [*ApiTokenSerializer.Meta.fields, "token"]
