from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ModelApi
from apps.training import services
from apps.training.api import serializers
from apps.training.api.filters import TrainingRunFilter
from apps.training.models import TrainingRun


@extend_schema_view(retrieve=extend_schema(responses=serializers.TrainingRunDetailSerializer))
class TrainingRunApi(ModelApi):
    """Training runs: candidates compared by cross-validation, the best registered as a model version."""

    permission_area = "training"
    queryset = TrainingRun.objects.with_context()
    serializer_class = serializers.TrainingRunSerializer
    filterset_class = TrainingRunFilter

    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        return rows if self.action == "list" else rows.prefetch_related("trials__scores", "columns")

    def get_serializer_class(self) -> Any:
        return serializers.TrainingRunSerializer if self.action == "list" else serializers.TrainingRunDetailSerializer

    @extend_schema(
        request=serializers.NewTrainingRunSerializer, responses={202: serializers.TrainingRunDetailSerializer}
    )
    def create(self, request: Request) -> Response:
        """Start a run. It answers at once; the work is the run's `job`."""
        form = serializers.NewTrainingRunSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        run = services.create_run(form.new_run(), by=self.actor)
        location = reverse("trainingrun-detail", args=[run.pk])
        return Response(self.get_serializer(run).data, status.HTTP_202_ACCEPTED, headers={"Location": location})

    @extend_schema(request=None, responses=serializers.TrainingRunDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop a waiting run at once, a running one after the fold it is in."""
        services.cancel_run(self.get_object(), by=self.actor)
        return Response(self.get_serializer(self.get_object()).data)
