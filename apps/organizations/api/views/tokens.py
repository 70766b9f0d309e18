from __future__ import annotations

from datetime import timedelta

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ModelApi
from apps.organizations import queries, services
from apps.organizations.api.serializers import tokens as serializers
from apps.organizations.models import ApiToken


class TokenApi(ModelApi):
    """API tokens: one's own, with `organization_tokens.*` also everybody's and those of the organization.

    A token's text is shown once, in the answer that made it.
    """

    permission_area = "tokens"
    queryset = ApiToken.objects.all()
    serializer_class = serializers.ApiTokenSerializer
    filterset_fields = ["kind", "name"]
    edited_fields = ("name", "allowed_networks")

    def get_queryset(self) -> QuerySet[ApiToken]:
        if getattr(self, "swagger_fake_view", False):
            return ApiToken.objects.none()
        return queries.tokens_shown_to(self.actor)

    @extend_schema(request=serializers.NewTokenSerializer, responses={201: serializers.IssuedTokenSerializer})
    def create(self, request: Request) -> Response:
        form = serializers.NewTokenSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        token, text = services.create_token(**form.validated_data, by=self.actor)
        location = reverse("apitoken-detail", args=[token.pk])
        return self._issued(token, text, status.HTTP_201_CREATED, {"Location": location})

    @extend_schema(request=serializers.TokenChangesSerializer, responses=serializers.ApiTokenSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        form = serializers.TokenChangesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        token = self.get_object()
        given = {"name": token.name, "allowed_networks": token.allowed_networks, **form.validated_data}
        return Response(self.get_serializer(services.edit_token(token, **given, by=self.actor)).data)

    @extend_schema(request=serializers.RotationSerializer, responses=serializers.IssuedTokenSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Give the token a new secret; the one before works until the overlap is over."""
        form = serializers.RotationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        overlap = timedelta(hours=form.validated_data.pop("overlap_hours"))
        token, text = services.rotate_token(self.get_object(), overlap=overlap, **form.validated_data, by=self.actor)
        return self._issued(token, text, status.HTTP_200_OK, {})

    @extend_schema(request=None, responses=serializers.ApiTokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """Stop the token and both its secrets, for good."""
        return Response(self.get_serializer(services.revoke_token(self.get_object(), by=self.actor)).data)

    def _issued(self, token: ApiToken, text: str, status: int, headers: dict[str, str]) -> Response:
        answer = {**self.get_serializer(token).data, "token": text}
        return Response(answer, status=status, headers={"Cache-Control": "no-store", **headers})
