from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status, viewsets
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.preconditions import EditedApi
from apps.core.api.views import ApiView, InTenant
from apps.organizations import queries, role_table, services
from apps.organizations.api.serializers import members as member_serializers
from apps.organizations.api.serializers import organizations as serializers
from apps.organizations.models import Membership


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


class OrganizationApi(InTenant, EditedApi):
    """The organization that the call is for."""

    permission_area = "organization"
    serializer_class = serializers.OrganizationSerializer
    edited_fields = ("slug", "name", "time_zone", "requires_second_factor")

    def get_object(self) -> Any:
        return self.unless_changed(queries.locked_organization())

    @extend_schema(responses=serializers.OrganizationSerializer)
    def get(self, request: Request) -> Response:
        return Response(self.get_serializer(self.organization).data)

    @extend_schema(request=serializers.OrganizationChangesSerializer, responses=serializers.OrganizationSerializer)
    def patch(self, request: Request) -> Response:
        form = serializers.OrganizationChangesSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        changed = services.update_organization(self.get_object(), by=self.actor, **form.validated_data)
        return Response(self.get_serializer(changed).data)


class OwnershipApi(InTenant, viewsets.ViewSet):
    """Who the organization belongs to, and who leaves it."""

    permission_area = "organization"
    permissions_by_action: ClassVar[dict[str, str]] = {
        "transfer": "organization.transfer",
        "leave": "organization.leave",
    }

    @extend_schema(request=serializers.TransferSerializer, responses=member_serializers.MembershipSerializer)
    def transfer(self, request: Request) -> Response:
        """Hand the organization over: a member becomes an owner, and the caller, who was one, an admin."""
        form = serializers.TransferSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        member = get_object_or_404(Membership, pk=form.validated_data["member"])
        owner = services.transfer_ownership(member, by=self.actor)
        return Response(member_serializers.MembershipSerializer(owner).data)

    @extend_schema(request=None, responses={204: None})
    def leave(self, request: Request) -> Response:
        """End the caller's own membership."""
        services.leave_organization(by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class RoleApi(ApiView):
    """The table of roles: which permission which role has. It is the same for every organization."""

    permission_area = "members"

    @extend_schema(responses=serializers.RoleTableSerializer)
    def get(self, request: Request) -> Response:
        roles = [{"role": role, "description": words} for role, words in role_table.roles()]
        return Response(serializers.RoleTableSerializer({"roles": roles, "areas": role_table.areas()}).data)
