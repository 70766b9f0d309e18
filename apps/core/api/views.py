"""Views of the API: every one names its permission area."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.serializers import BaseSerializer
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


class WrittenApi(ModelApi):
    """A model whose rows are created, changed and deleted by services, too: `add`, `change` and `remove` call them."""

    new_serializer: ClassVar[type[BaseSerializer]]
    changes_serializer: ClassVar[type[BaseSerializer]]
    basename: str

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        extend_schema_view(
            create=extend_schema(request=cls.new_serializer, responses={201: cls.serializer_class}),
            partial_update=extend_schema(request=cls.changes_serializer, responses=cls.serializer_class),
            destroy=extend_schema(responses={204: None}),
        )(cls)

    def add(self, **columns: Any) -> Any:
        raise NotImplementedError

    def change(self, row: Any, **columns: Any) -> Any:
        raise NotImplementedError

    def remove(self, row: Any) -> None:
        raise NotImplementedError

    def create(self, request: Request) -> Response:
        form = self.new_serializer(data=request.data, context=self.get_serializer_context())
        form.is_valid(raise_exception=True)
        row = self.add(**form.validated_data)
        location = reverse(f"{self.basename}-detail", args=[row.pk])
        return Response(self.get_serializer(row).data, status.HTTP_201_CREATED, headers={"Location": location})

    def partial_update(self, request: Request, pk: str) -> Response:
        form = self.changes_serializer(data=request.data, partial=True, context=self.get_serializer_context())
        form.is_valid(raise_exception=True)
        row = self.change(self.get_object(), **form.validated_data)
        return Response(self.get_serializer(row).data)

    def destroy(self, request: Request, pk: str) -> Response:
        self.remove(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)
