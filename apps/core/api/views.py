"""Views of the API: every one names its permission area."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import mixins, viewsets
from rest_framework.views import APIView

from apps.core.actors import Actor


class ApiView(APIView):
    permission_area: ClassVar[str]

    @property
    def actor(self) -> Actor:
        return self.request.auth


class ModelApi(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """List and show; a view adds what else can be done as actions that call services."""

    permission_area: ClassVar[str]
    permissions_by_action: ClassVar[dict[str, str]] = {}

    @property
    def actor(self) -> Actor:
        return self.request.auth
