from __future__ import annotations

from datetime import timedelta
from typing import Any

from rest_framework import serializers

from apps.organizations.enums import TokenKind, TokenStatus
from apps.organizations.models import ApiToken
from apps.organizations.networks import MAX_NETWORKS
from apps.organizations.permissions import ALL
from apps.organizations.services.tokens import LONGEST_OVERLAP, OVERLAP

HOUR = timedelta(hours=1)


class NetworksField(serializers.ListField):
    """Networks in CIDR form; empty allows every address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=60), max_length=MAX_NETWORKS, **kwargs)


class ApiTokenSerializer(serializers.ModelSerializer):
    status = serializers.ChoiceField(choices=TokenStatus.choices, read_only=True)
    person = serializers.EmailField(
        source="membership.user.email",
        read_only=True,
        default=None,
        allow_null=True,
        help_text="Whom a personal token acts for; of one of the organization, who made it.",
    )
    previous_expires_at = serializers.DateTimeField(
        source="overlaps_until",
        read_only=True,
        allow_null=True,
        help_text="Until when the secret before the last rotation works.",
    )

    class Meta:
        model = ApiToken
        fields = [
            "id",
            "kind",
            "name",
            "person",
            "scopes",
            "allowed_networks",
            "status",
            "created_at",
            "expires_at",
            "previous_expires_at",
            "revoked_at",
            "last_used_at",
            "last_used_address",
            "last_used_agent",
        ]


class NewTokenSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(choices=TokenKind.choices, default=TokenKind.PERSONAL)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=sorted(ALL)), allow_empty=False)
    allowed_networks = NetworksField(required=False)
    expires_at = serializers.DateTimeField(required=False, help_text="In a year at most; 90 days from now by default.")


class TokenChangesSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80, required=False)
    allowed_networks = NetworksField(required=False)


class RotationSerializer(serializers.Serializer):
    overlap_hours = serializers.IntegerField(
        min_value=0,
        max_value=LONGEST_OVERLAP // HOUR,
        default=OVERLAP // HOUR,
        help_text="For how long the previous secret still works.",
    )
    expires_at = serializers.DateTimeField(required=False, help_text="The token's new end; as before by default.")


class IssuedTokenSerializer(ApiTokenSerializer):
    token = serializers.CharField(help_text="Shown this once.")

    class Meta(ApiTokenSerializer.Meta):
        fields = [*ApiTokenSerializer.Meta.fields, "token"]
