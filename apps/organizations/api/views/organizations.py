from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ApiView
from apps.organizations import services
from apps.organizations.api.serializers import organizations as serializers


class MeApi(ApiView):
    """Who is calling, for which organization, with which permissions."""

    permission_area = "organization"

    @extend_schema(responses=serializers.CallerSerializer)
    def get(self, request: Request) -> Response:
        actor = self.actor
        caller = {
            "kind": actor.kind,
            "id": actor.id,
            "label": actor.label,
            "organization": self.organization,
            "permissions": sorted(actor.permissions),
        }
        return Response(serializers.CallerSerializer(caller).data)


class OrganizationApi(ApiView):
    """The organization that the call is for."""

    permission_area = "organization"

    @extend_schema(responses=serializers.OrganizationSerializer)
    def get(self, request: Request) -> Response:
        return Response(serializers.OrganizationSerializer(self.organization).data)

    @extend_schema(request=serializers.OrganizationSerializer, responses=serializers.OrganizationSerializer)
    def patch(self, request: Request) -> Response:
        form = serializers.OrganizationSerializer(self.organization, data=request.data)
        form.is_valid(raise_exception=True)
        renamed = services.rename_organization(self.organization, form.validated_data["name"], by=self.actor)
        return Response(serializers.OrganizationSerializer(renamed).data)
