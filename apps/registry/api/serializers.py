from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.organizations.api.serializers.projects import LabelField
from apps.registry.models import FeatureImportance, Metric, Model, ModelVersion


class MetricSerializer(serializers.ModelSerializer):
    class Meta:
        model = Metric
        fields = ["name", "value", "std", "low", "high"]


class FeatureImportanceSerializer(serializers.ModelSerializer):
    class Meta:
        model = FeatureImportance
        fields = ["column", "share"]


class SignatureInputSerializer(serializers.Serializer):
    name = serializers.CharField()
    datatype = serializers.CharField(help_text="Open Inference Protocol datatype.")
    nullable = serializers.BooleanField()
    categories = serializers.ListField(child=serializers.CharField(), allow_null=True)


class SignatureOutputSerializer(serializers.Serializer):
    name = serializers.CharField()
    datatype = serializers.CharField()
    shape = serializers.ListField(child=serializers.IntegerField(), help_text="-1 is the number of rows.")
    labels = serializers.ListField(allow_null=True, help_text="Names of the last axis.")


class SignatureSerializer(serializers.Serializer):
    task = serializers.CharField()
    inputs = SignatureInputSerializer(many=True)
    outputs = SignatureOutputSerializer(many=True)


class ModelVersionSummarySerializer(serializers.ModelSerializer):
    metrics = MetricSerializer(many=True)

    class Meta:
        model = ModelVersion
        fields = ["id", "number", "algorithm", "target", "dataset_version", "training_run_id", "metrics", "created_at"]


class ModelVersionSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model.name")
    dataset = serializers.UUIDField(source="dataset_version.dataset_id")
    metrics = MetricSerializer(many=True)
    importances = FeatureImportanceSerializer(many=True)
    signature = SignatureSerializer()

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "model",
            "model_name",
            "number",
            "algorithm",
            "target",
            "dataset",
            "dataset_version",
            "training_run_id",
            "artifact_sha256",
            "size_bytes",
            "compared_row_count",
            "largest_difference",
            "metrics",
            "importances",
            "signature",
            "created_at",
        ]


class ModelSerializer(serializers.ModelSerializer):
    version_count = serializers.IntegerField(read_only=True)
    latest_version = serializers.SerializerMethodField()

    class Meta:
        model = Model
        fields = ["id", "name", "task", "description", "project", "version_count", "latest_version", "created_at"]

    @extend_schema_field(ModelVersionSummarySerializer(allow_null=True))
    def get_latest_version(self, model: Model) -> dict[str, Any] | None:
        version = model.latest_version
        return None if version is None else ModelVersionSummarySerializer(version).data


class ModelChangesSerializer(serializers.Serializer):
    description = serializers.CharField(max_length=2000, allow_blank=True, required=False)
    project = LabelField()
