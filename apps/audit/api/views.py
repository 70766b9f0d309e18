from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.audit import active, exports, queries, services
from apps.audit.api.serializers import (
    AuditEntrySerializer,
    ExportSerializer,
    RetentionChangeSerializer,
    RetentionSerializer,
)
from apps.audit.filters import TrailFilter
from apps.audit.models import AuditEntry
from apps.core.api.preconditions import UNCONDITIONAL
from apps.core.api.views import ModelApi
from apps.core.downloads import Download
from apps.organizations.models import Organization


class AuditApi(ModelApi):
    """The trail of who did what, newest first."""

    permission_area = "audit"
    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    filterset_class = TrailFilter

    @extend_schema(
        parameters=[ExportSerializer],
        responses={(200, kind): OpenApiResponse(OpenApiTypes.BINARY) for kind, _ in exports.FORMATS.values()},
    )
    @action(detail=False, pagination_class=None)
    def export(self, request: Request) -> Download:
        """All that the filters leave, as one file."""
        form = ExportSerializer(data=request.query_params)
        form.is_valid(raise_exception=True)
        entries, kind = self.filter_queryset(self.get_queryset()), form.validated_data["as"]
        line = services.note_export(self.organization, kind, active.named(request.query_params), by=self.actor)
        return exports.download(entries.filter(id__lt=line.pk), kind)

    @extend_schema(responses=RetentionSerializer, filters=False)
    @action(detail=False, pagination_class=None)
    def retention(self, request: Request) -> Response:
        """For how many days the trail is kept."""
        return self._retention(self.organization)

    @extend_schema(request=RetentionChangeSerializer, responses=RetentionSerializer, extensions={UNCONDITIONAL: True})
    @retention.mapping.patch
    def change_retention(self, request: Request) -> Response:
        """Keep it longer or shorter. The next night removes what is older then, for good."""
        form = RetentionChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        return self._retention(services.set_retention(self.organization, by=self.actor, **form.validated_data))

    def _retention(self, organization: Organization) -> Response:
        kept = queries.retention_of(organization)
        return Response(RetentionSerializer({"id": organization.pk, "kept": kept}).data)
