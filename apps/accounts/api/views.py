"""Signing in by the API. Nobody is known yet, so these operations ask for no caller and have no tenant."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as drf
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.api.serializers import CredentialsSerializer, PairSerializer, RefreshSerializer
from apps.accounts.jwt import families, keys
from apps.accounts.jwt.sign_in import person_signing_in
from apps.core.api.parsers import JSONParser

KEYS_CACHED_FOR_S = 300


class SignInView(APIView):
    parser_classes = (JSONParser,)
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer


class TokenApi(SignInView):
    @extend_schema(operation_id="auth_token", request=CredentialsSerializer, responses=PairSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """Sign a program in as a person. If the account has a second factor, `second_factor_needed` asks for it."""
        user = person_signing_in(request._request, **_valid(CredentialsSerializer, request))
        return Response(PairSerializer(families.start_family(user, **_device(request))).data)


class RefreshApi(SignInView):
    @extend_schema(operation_id="auth_refresh", request=RefreshSerializer, responses=PairSerializer, auth=[])
    def post(self, request: Request) -> Response:
        """The next pair of tokens. Send an Idempotency-Key, so that a lost answer can be asked for again."""
        pair = families.rotate(_valid(RefreshSerializer, request)["refresh"], **_device(request))
        return Response(PairSerializer(pair).data)


class RevokeApi(SignInView):
    @extend_schema(operation_id="auth_revoke", request=RefreshSerializer, responses={204: None}, auth=[])
    def post(self, request: Request) -> Response:
        """Sign a program out: its refresh and access tokens stop. The answer is the same for any other text."""
        families.sign_out(_valid(RefreshSerializer, request)["refresh"])
        return Response(status=status.HTTP_204_NO_CONTENT)


@require_safe
@cache_control(public=True, max_age=KEYS_CACHED_FOR_S)
def key_set(request: HttpRequest) -> JsonResponse:
    """The public keys with which others can check our access tokens (RFC 7517)."""
    return JsonResponse(keys.public_key_set(), content_type="application/jwk-set+json")


def _valid(form_class: type[drf.Serializer], request: Request) -> dict[str, Any]:
    form = form_class(data=request.data)
    form.is_valid(raise_exception=True)
    return form.validated_data


def _device(request: Request) -> dict[str, str]:
    """From where and with what a program signs in, to be told to its person."""
    return {"address": request.META.get("REMOTE_ADDR") or "", "agent": request.headers.get("User-Agent", "")}
