from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core import storage
from apps.core.api.views import ModelApi
from apps.core.downloads import Download
from apps.datasets import downloads, queries, services
from apps.datasets.api import serializers
from apps.datasets.models import Dataset, DatasetVersion


class DatasetsApi(ModelApi):
    """Tables that people bring. Each upload is a version; the same bytes again are the same version."""

    permission_area = "datasets"
    queryset = Dataset.objects.with_totals().with_latest_version()
    serializer_class = serializers.DatasetSerializer
    filterset_fields = ["name", "project"]
    edited_fields = ("name", "description", "project")

    @extend_schema(
        request={
            "multipart/form-data": serializers.NewDatasetSerializer,
            "application/json": serializers.NewDatasetSerializer,
        },
        responses={202: serializers.AcceptedDatasetSerializer},
    )
    def create(self, request: Request) -> Response:
        """Upload a CSV (or name its URL) as the first version of a new dataset. A job reads it."""
        form = _valid(serializers.NewDatasetSerializer, request)
        version = services.create_dataset(**form.validated_data, by=self.actor)
        dataset = self.get_queryset().get(pk=version.dataset_id)
        location = reverse("dataset-detail", args=[dataset.pk])
        body = serializers.AcceptedDatasetSerializer(dataset).data
        return Response(body, status.HTTP_202_ACCEPTED, headers={"Location": location})

    @extend_schema(request=serializers.DatasetChangesSerializer, responses=serializers.DatasetSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        form = _valid(serializers.DatasetChangesSerializer, request)
        dataset = services.update_dataset(self.get_object(), by=self.actor, **form.validated_data)
        return Response(self.get_serializer(dataset).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a dataset with all its versions. Refused while a model or run made from it exists."""
        services.delete_dataset(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(methods=["GET"], responses=serializers.DatasetVersionSerializer(many=True))
    @extend_schema(
        methods=["POST"],
        request={
            "multipart/form-data": serializers.NewVersionSerializer,
            "application/json": serializers.NewVersionSerializer,
        },
        responses={202: serializers.DatasetVersionSerializer, 200: serializers.DatasetVersionSerializer},
    )
    @action(detail=True, methods=["get", "post"], filterset_fields=[])
    def versions(self, request: Request, pk: str) -> Response:
        """The versions, newest first; or a new one: 202 while a job reads it, 200 when these bytes are known."""
        return self._add_version(request) if request.method == "POST" else self._list_versions()

    def _list_versions(self) -> Response:
        rows = self.paginate_queryset(self.get_object().versions.select_related("job"))
        return self.get_paginated_response(serializers.DatasetVersionSerializer(rows, many=True).data)

    def _add_version(self, request: Request) -> Response:
        dataset = self.get_object()
        form = _valid(serializers.NewVersionSerializer, request)
        version = services.add_version(dataset, **form.validated_data, by=self.actor)
        location = reverse("datasetversion-detail", args=[version.pk])
        code = status.HTTP_202_ACCEPTED if version.is_pending else status.HTTP_200_OK
        return Response(serializers.DatasetVersionSerializer(version).data, code, headers={"Location": location})


@extend_schema_view(retrieve=extend_schema(responses=serializers.DatasetVersionDetailSerializer))
class DatasetVersionsApi(ModelApi):
    """Versions: what the columns hold, the first rows, and the file as it was uploaded."""

    permission_area = "datasets"
    queryset = DatasetVersion.objects.select_related("job")
    serializer_class = serializers.DatasetVersionSerializer
    filterset_fields = ["dataset", "status", "content_hash"]

    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        return rows.prefetch_related("columns") if self.action == "retrieve" else rows

    def get_serializer_class(self) -> Any:
        by_action = {"retrieve": serializers.DatasetVersionDetailSerializer}
        return by_action.get(self.action, serializers.DatasetVersionSerializer)

    @extend_schema(parameters=[serializers.RowsQuerySerializer], responses=serializers.RowsSerializer)
    @action(detail=True, methods=["get"], pagination_class=None, filterset_fields=[])
    def rows(self, request: Request, pk: str) -> Response:
        """Rows in the file's order, as typed values."""
        query = serializers.RowsQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        version = self.get_object()
        names = list(version.columns.values_list("name", flat=True))
        rows = queries.version_rows(version, names, **query.validated_data)
        offset = query.validated_data["offset"]
        return Response({"columns": names, "rows": rows, "offset": offset, "row_count": version.row_count})

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"], pagination_class=None, filterset_fields=[])
    def source(self, request: Request, pk: str) -> Download:
        """The file as it was uploaded, as an attachment."""
        return downloads.source_response(self.get_object())


def _valid(serializer: Any, request: Request) -> Any:
    """The request's content, checked. A disk that is full while an upload is kept is told as 503."""
    with storage.unavailable_when_failing():
        content = request.data
    form = serializer(data=content)
    form.is_valid(raise_exception=True)
    return form
