from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ModelApi
from apps.core.downloads import Download
from apps.registry import downloads, queries, services
from apps.registry.api import serializers
from apps.registry.models import ModelVersion


class ModelsApi(ModelApi):
    """Models: a name, a task, and the versions learned so far."""

    permission_area = "models"
    queryset = queries.models_with_latest_version()
    serializer_class = serializers.ModelSerializer
    filterset_fields = ["name", "task", "project"]
    edited_fields = ("description", "project")

    @extend_schema(request=serializers.ModelChangesSerializer, responses=serializers.ModelSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        form = serializers.ModelChangesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        model = services.update_model(self.get_object(), by=self.actor, **form.validated_data)
        return Response(self.get_serializer(model).data)


class ModelVersionsApi(ModelApi):
    """Versions: metrics, signature, lineage, and the ONNX file itself."""

    permission_area = "models"
    queryset = ModelVersion.objects.with_lineage().prefetch_related("importances")
    serializer_class = serializers.ModelVersionSerializer
    filterset_fields = ["model", "dataset_version", "training_run_id", "algorithm"]

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def artifact(self, request: Request, pk: str) -> Download:
        """The ONNX file, as an attachment."""
        return downloads.artifact_response(self.get_object())
