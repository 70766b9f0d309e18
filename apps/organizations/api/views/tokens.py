from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.views import ModelApi
from apps.organizations import services
from apps.organizations.api.serializers import tokens as serializers
from apps.organizations.models import ApiToken


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
