from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ModelApi
from apps.deployments import services
from apps.deployments.api import serializers
from apps.deployments.models import Deployment


class DeploymentApi(ModelApi):
    """Endpoints that serve a model version. What is asked for is made so within seconds; `status` tells how far."""

    permission_area = "deployments"
    queryset = Deployment.objects.with_replicas()
    serializer_class = serializers.DeploymentSerializer
    filterset_fields = ["name", "status", "model_version", "project"]
    edited_fields = ("model_version", "replica_count", "project")

    @extend_schema(request=serializers.NewDeploymentSerializer, responses={201: serializers.DeploymentSerializer})
    def create(self, request: Request) -> Response:
        form = serializers.NewDeploymentSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        deployment = services.create_deployment(**form.validated_data, by=self.actor)
        location = reverse("deployment-detail", args=[deployment.pk])
        return self._shown(deployment, status=status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(request=serializers.DeploymentChangeSerializer, responses=serializers.DeploymentSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Scale it, roll out another version, or label it."""
        form = serializers.DeploymentChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        deployment, changes = self.get_object(), form.validated_data
        if "replica_count" in changes:
            deployment = services.scale_deployment(deployment, changes["replica_count"], by=self.actor)
        if "model_version" in changes:
            deployment = services.change_model_version(deployment, changes["model_version"], by=self.actor)
        if "project" in changes:
            deployment = services.label_deployment(deployment, changes["project"], by=self.actor)
        return self._shown(deployment)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.delete_deployment(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=serializers.DeploymentSerializer)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: str) -> Response:
        """Run the replicas that were asked for; one that runs stays as it is."""
        return self._shown(services.start_deployment(self.get_object(), by=self.actor))

    @extend_schema(request=None, responses=serializers.DeploymentSerializer)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Send it no more calls and end its replicas; it keeps its name and settings."""
        return self._shown(services.stop_deployment(self.get_object(), by=self.actor))

    def _shown(self, deployment: Deployment, **answer: Any) -> Response:
        row = self.get_queryset().get(pk=deployment.pk)
        return Response(self.get_serializer(row).data, **answer)
