from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.audit import exports
from apps.audit.api.serializers import AuditEntrySerializer, ExportSerializer
from apps.audit.filters import TrailFilter
from apps.audit.models import AuditEntry
from apps.core.api.views import ModelApi
from apps.core.downloads import Download


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
        return exports.download(self.filter_queryset(self.get_queryset()), form.validated_data["as"])
