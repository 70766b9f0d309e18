from __future__ import annotations

from rest_framework import serializers

from apps.organizations.enums import Role
from apps.organizations.models import ApiToken, Membership, Organization
from apps.organizations.permissions import ALL


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


class MembershipSerializer(serializers.ModelSerializer):
    email = serializers.EmailField(source="user.email", read_only=True)
    name = serializers.CharField(source="user.name", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "email", "name", "role", "created_at"]


class NewMemberSerializer(serializers.Serializer):
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=Role.choices)


class RoleSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=Role.choices)


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
