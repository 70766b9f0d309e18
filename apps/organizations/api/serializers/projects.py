from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.organizations.models import Project


class ProjectSerializer(serializers.ModelSerializer):
    class Meta:
        model = Project
        fields = ["id", "name", "description", "created_at"]
        read_only_fields = ["id", "created_at"]


class NewProjectSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)


class ProjectChangesSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80, required=False)
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)


class LabelField(serializers.PrimaryKeyRelatedField):
    """The project that a thing carries as its label; null for none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Project.objects.all(), required=False, allow_null=True, **kwargs)
