from __future__ import annotations

from rest_framework import serializers

from apps.deployments import queries
from apps.deployments.models import MAX_REPLICAS, Deployment, Replica
from apps.organizations.api.serializers.projects import LabelField
from apps.registry.models import ModelVersion


class ReplicaSerializer(serializers.ModelSerializer):
    version = serializers.IntegerField(source="model_version.number", help_text="Number of the model version it runs.")
    is_serving = serializers.BooleanField(help_text="Whether it gets calls now.")

    class Meta:
        model = Replica
        fields = [
            "id",
            "index",
            "status",
            "version",
            "is_serving",
            "restart_count",
            "started_at",
            "ready_at",
            "last_healthy_at",
            "retry_at",
            "last_error",
        ]


class DeploymentSerializer(serializers.ModelSerializer):
    model_name = serializers.CharField(source="model_version.model.name")
    version = serializers.IntegerField(source="model_version.number", help_text="Number of the wanted model version.")
    serving_version = serializers.IntegerField(
        source="serving_version.number", help_text="Number of the version that answers; another one during a roll-out."
    )
    ready_replica_count = serializers.IntegerField(help_text="Replicas that get calls now.")
    url = serializers.SerializerMethodField(help_text="Where predictions are asked for.")
    replicas = ReplicaSerializer(many=True)

    class Meta:
        model = Deployment
        fields = [
            "id",
            "name",
            "status",
            "model_version",
            "model_name",
            "version",
            "serving_version",
            "replica_count",
            "ready_replica_count",
            "is_stopped",
            "project",
            "url",
            "replicas",
            "created_by_label",
            "created_at",
        ]

    def get_url(self, deployment: Deployment) -> str:
        return queries.infer_url(deployment)


class NewDeploymentSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=63)
    model_version = serializers.PrimaryKeyRelatedField(queryset=ModelVersion.objects.all())
    replica_count = serializers.IntegerField(min_value=0, max_value=MAX_REPLICAS, default=1)
    project = LabelField(help_text="The model's project unless given.")


class DeploymentChangeSerializer(serializers.Serializer):
    model_version = serializers.PrimaryKeyRelatedField(queryset=ModelVersion.objects.all(), required=False)
    replica_count = serializers.IntegerField(min_value=0, max_value=MAX_REPLICAS, required=False)
    project = LabelField()
