"""Views of the API: every one names its permission area."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from rest_framework import mixins, viewsets
from rest_framework.views import APIView

from apps.core.actors import Actor
from apps.core.api.preconditions import EditedApi


class InTenant:
    """What the tenant middleware found out about the caller."""

    permission_area: ClassVar[str]
    request: Any

    @property
    def actor(self) -> Actor:
        return cast("Actor", self.request.auth)

    @property
    def organization(self) -> Any:
        return self.request._request.organization


class ApiView(InTenant, APIView):
    """An operation that is not about rows of one model."""


class ModelApi(InTenant, mixins.ListModelMixin, mixins.RetrieveModelMixin, EditedApi, viewsets.GenericViewSet):
    """List and show; a view adds what else can be done as actions that call services.

    One whose rows people edit names `edited_fields`, and has ETags and If-Match by that.
    """

    permissions_by_action: ClassVar[dict[str, str]] = {}
