from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ModelApi
from apps.organizations import queries, services
from apps.organizations.api.serializers import members as serializers
from apps.organizations.models import Membership


class MemberApi(ModelApi):
    """People of the organization and their roles. New ones are invited."""

    permission_area = "members"
    queryset = Membership.objects.select_related("user")
    serializer_class = serializers.MembershipSerializer
    filterset_fields = ["role"]
    edited_fields = ("role",)

    def lock(self, pk: str) -> None:
        queries.locked_memberships(get_object_or_404(self.get_queryset(), pk=pk).pk)

    @extend_schema(request=serializers.RoleSerializer, responses=serializers.MembershipSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        membership = self.get_object()
        form = serializers.RoleSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        membership = services.change_role(membership, form.validated_data["role"], by=self.actor)
        return Response(self.get_serializer(membership).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        services.remove_member(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
