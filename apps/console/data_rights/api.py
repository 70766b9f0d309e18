from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.console.data_rights import deletion, exports
from apps.console.data_rights.errors import ProofNeeded
from apps.console.data_rights.models import DataExport
from apps.core.api.preconditions import UNCONDITIONAL
from apps.core.api.views import InTenant, ModelApi
from apps.core.downloads import Download
from apps.organizations.models import Organization


class DataExportSerializer(serializers.ModelSerializer):
    status = serializers.CharField(help_text="`ready`, `expired`, or the status of its job until then.")
    progress = serializers.FloatField(source="job.progress", help_text="0 to 1.")
    download_url = serializers.SerializerMethodField(help_text="While it is ready; needs the same permission.")

    class Meta:
        model = DataExport
        fields = [
            "id",
            "status",
            "progress",
            "job",
            "download_url",
            "size_bytes",
            "sha256",
            "row_count",
            "file_count",
            "created_at",
            "ready_at",
            "expires_at",
        ]
        read_only_fields = fields

    @extend_schema_field({"type": "string", "format": "uri-reference", "nullable": True})
    def get_download_url(self, export: DataExport) -> str | None:
        return reverse("dataexport-file", args=[export.pk]) if export.is_ready else None


class DeletionSerializer(serializers.Serializer):
    confirmation = serializers.CharField(help_text="The organization's name, exactly.")


class ClosedSerializer(serializers.ModelSerializer):
    erased_after = serializers.DateTimeField(read_only=True)

    class Meta:
        model = Organization
        fields = ["id", "slug", "name", "deletion_requested_at", "erased_after"]
        read_only_fields = fields


class DataExportsApi(ModelApi):
    """All of the organization's data in one zip: rows as JSON lines, files, and a manifest with hashes."""

    permission_area = "organization"
    permissions_by_action: ClassVar[dict[str, str]] = dict.fromkeys(
        ("list", "retrieve", "create", "file"), "organization.export"
    )
    queryset = DataExport.objects.select_related("job", "organization")
    serializer_class = DataExportSerializer

    @extend_schema(request=None, responses={202: DataExportSerializer})
    def create(self, request: Request) -> Response:
        """Ask for an export. While one is being made, that one is told."""
        export = exports.start_export(by=self.actor)
        location = reverse("dataexport-detail", args=[export.pk])
        return Response(self.get_serializer(export).data, status.HTTP_202_ACCEPTED, headers={"Location": location})

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"], pagination_class=None)
    def file(self, request: Request, pk: str) -> Download:
        """The zip, as an attachment. The trail says who took it."""
        return exports.download_export(self.get_object(), by=self.actor)


class DeletionApi(InTenant, viewsets.ViewSet):
    """The end of the organization. A session needs to have proven itself in the last minutes, as on the page."""

    permission_area = "organization"
    permissions_by_action: ClassVar[dict[str, str]] = dict.fromkeys(("ask", "cancel"), "organization.delete")

    @extend_schema(request=DeletionSerializer, responses={202: ClosedSerializer})
    def ask(self, request: Request) -> Response:
        """Close the organization at once, and have its data erased after 30 days."""
        _require_proof(request._request)
        form = DeletionSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        closed = deletion.close_organization(self.organization, **form.validated_data, by=self.actor)
        return Response(ClosedSerializer(closed).data, status.HTTP_202_ACCEPTED)

    @extend_schema(responses={204: None}, extensions={UNCONDITIONAL: True})
    def cancel(self, request: Request) -> Response:
        """Take the deletion back: the organization is open again, with everything in it."""
        deletion.reopen_organization(self.organization, by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _require_proof(request: Any) -> None:
    if request.credential == "session" and not did_recently_reauthenticate(request):
        raise ProofNeeded
