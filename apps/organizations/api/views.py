from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ApiView, ModelApi
from apps.organizations import services
from apps.organizations.api import serializers
from apps.organizations.models import ApiToken, Membership


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


class MemberApi(ModelApi):
    """People of the organization and their roles."""

    permission_area = "members"
    queryset = Membership.objects.select_related("user")
    serializer_class = serializers.MembershipSerializer
    filterset_fields = ["role"]

    @extend_schema(request=serializers.NewMemberSerializer, responses={201: serializers.MembershipSerializer})
    def create(self, request: Request) -> Response:
        form = serializers.NewMemberSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        membership = services.add_member(**form.validated_data, by=self.actor)
        return Response(self.get_serializer(membership).data, status=status.HTTP_201_CREATED)

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


class TokenApi(ModelApi):
    """API tokens. A token's text is shown once, in the answer that made it."""

    permission_area = "tokens"
    queryset = ApiToken.objects.all()
    serializer_class = serializers.ApiTokenSerializer

    @extend_schema(request=serializers.NewTokenSerializer, responses={201: serializers.IssuedTokenSerializer})
    def create(self, request: Request) -> Response:
        form = serializers.NewTokenSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        row, text = services.create_token(**form.validated_data, by=self.actor)
        answer = {**self.get_serializer(row).data, "token": text}
        return Response(answer, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=serializers.ApiTokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        return Response(self.get_serializer(services.revoke_token(self.get_object(), by=self.actor)).data)
