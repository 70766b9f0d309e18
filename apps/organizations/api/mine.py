"""The organizations of the person who calls: asked for outside of each of them."""

from __future__ import annotations

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import User
from apps.core import tenancy
from apps.core.api.permissions import PersonPermission
from apps.organizations import queries, services
from apps.organizations.models import Membership, Organization


class MyOrganizationSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="organization.id")
    slug = serializers.CharField(source="organization.slug")
    name = serializers.CharField(source="organization.name")
    created_at = serializers.DateTimeField(source="organization.created_at")

    class Meta:
        model = Membership
        fields = ["id", "slug", "name", "role", "created_at"]
        read_only_fields = fields


class NewOrganizationSerializer(serializers.ModelSerializer):
    slug = serializers.CharField(
        default="",
        validators=Organization._meta.get_field("slug").validators,
        help_text="Its address, made from the name if left out.",
    )

    class Meta:
        model = Organization
        fields = ["name", "slug"]


class MyOrganizationsApi(GenericAPIView):
    """Where the person belongs and with which role. An API token has no person of that kind, so it is refused."""

    permission_classes = (PersonPermission,)
    serializer_class = MyOrganizationSerializer
    queryset = Membership.objects.select_related("organization")

    @property
    def person(self) -> User:
        return cast("User", self.request.user)

    @extend_schema(operation_id="my_organizations_list", responses=MyOrganizationSerializer(many=True))
    def get(self, request: Request) -> Response:
        with tenancy.principal(self.person.pk):
            rows = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(rows, many=True).data)

    @extend_schema(
        operation_id="my_organizations_create",
        request=NewOrganizationSerializer,
        responses={201: MyOrganizationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Found an organization, as its first owner."""
        form = NewOrganizationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        founded = services.create_organization(owner=self.person, **form.validated_data)
        membership = queries.membership_in(self.person, founded.slug)
        return Response(self.get_serializer(membership).data, status=status.HTTP_201_CREATED)
