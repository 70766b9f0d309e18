from __future__ import annotations

from rest_framework import serializers

from apps.organizations.enums import Role
from apps.organizations.models import Organization


class OrganizationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organization
        fields = ["id", "slug", "name", "time_zone", "requires_second_factor", "plan", "created_at"]


class OrganizationChangesSerializer(serializers.ModelSerializer):
    # Whether it is taken is for the service to say, which tells it with a status of its own.
    slug = serializers.CharField(
        min_length=2, max_length=40, validators=Organization._meta.get_field("slug").validators, required=False
    )

    class Meta:
        model = Organization
        fields = ["slug", "name", "time_zone", "requires_second_factor"]


class CallerSerializer(serializers.Serializer):
    kind = serializers.CharField()
    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    organization = OrganizationSerializer()
    permissions = serializers.ListField(child=serializers.CharField())


class TransferSerializer(serializers.Serializer):
    member = serializers.UUIDField(help_text="The id of the member who becomes an owner.")


class PermissionSerializer(serializers.Serializer):
    permission = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(choices=Role.choices))


class AreaSerializer(serializers.Serializer):
    area = serializers.CharField(source="name")
    description = serializers.CharField()
    permissions = PermissionSerializer(source="rows", many=True)


class RoleDescriptionSerializer(serializers.Serializer):
    role = serializers.ChoiceField(choices=Role.choices)
    description = serializers.CharField()


class RoleTableSerializer(serializers.Serializer):
    roles = RoleDescriptionSerializer(many=True)
    areas = AreaSerializer(many=True)
