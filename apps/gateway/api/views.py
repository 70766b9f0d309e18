from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ApiView, ModelApi, WrittenApi
from apps.gateway import errors, queries, services
from apps.gateway.api import serializers
from apps.gateway.models import ModelCall, Route, Upstream, UpstreamKey, VirtualKey
from apps.gateway.services import keys, routes, upstreams
from apps.gateway.spending import used_by


class UpstreamApi(WrittenApi):
    """Upstreams: providers' accounts and servers that answer models' calls."""

    permission_area = "gateway"
    queryset = Upstream.objects.prefetch_related("keys")
    serializer_class = serializers.UpstreamSerializer
    new_serializer = serializers.NewUpstreamSerializer
    changes_serializer = serializers.UpstreamChangesSerializer
    filterset_fields = ["name", "kind", "is_paused"]
    edited_fields = upstreams.COLUMNS

    def add(self, **columns: Any) -> Upstream:
        return services.create_upstream(**columns, by=self.actor)

    def change(self, row: Upstream, **columns: Any) -> Upstream:
        return services.update_upstream(row, **columns, by=self.actor)

    def remove(self, row: Upstream) -> None:
        services.delete_upstream(row, by=self.actor)

    @extend_schema(request=None, responses=serializers.UpstreamCheckSerializer)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Ask the upstream for its models, with its first key, and tell what it says."""
        return Response(
            serializers.UpstreamCheckSerializer(services.check_upstream(self.get_object(), by=self.actor)).data
        )


class UpstreamKeyApi(WrittenApi):
    """Keys of upstreams. Nobody reads one back."""

    permission_area = "gateway"
    queryset = UpstreamKey.objects.all()
    serializer_class = serializers.UpstreamKeySerializer
    new_serializer = serializers.NewUpstreamKeySerializer
    changes_serializer = serializers.UpstreamKeyChangesSerializer
    filterset_fields = ["upstream", "name", "is_paused"]
    edited_fields = ("is_paused",)

    def add(self, **columns: Any) -> UpstreamKey:
        return services.add_secret(**columns, by=self.actor)

    def change(self, row: UpstreamKey, **columns: Any) -> UpstreamKey:
        return services.set_secret_paused(row, columns.get("is_paused", row.is_paused), by=self.actor)

    def remove(self, row: UpstreamKey) -> None:
        services.delete_secret(row, by=self.actor)


class RouteApi(WrittenApi):
    """Routes: the models' names that callers use, and where they lead."""

    permission_area = "gateway"
    queryset = Route.objects.prefetch_related("targets")
    serializer_class = serializers.RouteSerializer
    new_serializer = serializers.NewRouteSerializer
    changes_serializer = serializers.RouteChangesSerializer
    filterset_fields = ["name", "strategy", "is_paused"]
    edited_fields = (*routes.COLUMNS, "targets")

    def add(self, **columns: Any) -> Route:
        return services.create_route(**columns, by=self.actor)

    def change(self, row: Route, **columns: Any) -> Route:
        return services.update_route(row, **columns, by=self.actor)

    def remove(self, row: Route) -> None:
        services.delete_route(row, by=self.actor)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], url_path="clear-cache")
    def clear_cache(self, request: Request, pk: str) -> Response:
        """Forget the answers that are kept of the route."""
        services.clear_cache(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class VirtualKeyApi(WrittenApi):
    """Virtual keys: API tokens for calling models, with routes, a budget, limits and tags of their own."""

    permission_area = "gateway"
    queryset = VirtualKey.objects.select_related("token__membership")
    serializer_class = serializers.VirtualKeySerializer
    new_serializer = serializers.NewVirtualKeySerializer
    changes_serializer = serializers.VirtualKeyChangesSerializer
    filterset_fields = ["token"]
    edited_fields = keys.COLUMNS

    def get_serializer(self, *args: Any, **options: Any) -> Any:
        shown = args[0] if args else []
        rows = shown if options.get("many") else [shown] if isinstance(shown, VirtualKey) else []
        given = options.pop("context", None) or self.get_serializer_context()
        return super().get_serializer(*args, **options, context={**given, "spent": used_by(rows)})

    @extend_schema(request=serializers.NewVirtualKeySerializer, responses={201: serializers.VirtualKeyIssuedSerializer})
    def create(self, request: Request) -> Response:
        """Make a key. Its text is in this answer alone."""
        form = serializers.NewVirtualKeySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        self.actor.require("tokens.write")
        key, text = services.create_key(**form.validated_data, by=self.actor)
        answer = {**self.get_serializer(key).data, "secret": text}
        location = reverse("virtualkey-detail", args=[key.pk])
        return Response(answer, status.HTTP_201_CREATED, headers={"Location": location, "Cache-Control": "no-store"})

    def change(self, row: VirtualKey, **columns: Any) -> VirtualKey:
        return services.update_key(row, **columns, by=self.actor)

    def remove(self, row: VirtualKey) -> None:
        """Revoke the key."""
        services.delete_key(row, by=self.actor)


class ModelCallApi(ModelApi):
    """Calls of models: what was asked of whom, what came of it, and what it cost."""

    permission_area = "model_calls"
    queryset = ModelCall.objects.all()
    serializer_class = serializers.ModelCallSerializer
    filterset_fields = ["route", "upstream_id", "status", "error_class", "cache", "token_id", "request_id"]

    def get_serializer_class(self) -> Any:
        if self.action == "retrieve":
            return serializers.ModelCallDetailSerializer
        return serializers.ModelCallSerializer


class HealthApi(ApiView):
    """How upstreams do, as the data plane sees them: breakers, calls, failures, resting keys, last checks."""

    permission_area = "gateway"

    @extend_schema(responses=serializers.HealthSerializer)
    def get(self, request: Request) -> Response:
        upstreams = queries.upstreams_seen()
        if upstreams is None:
            raise errors.HealthUnknown
        return Response(serializers.HealthSerializer({"upstreams": upstreams}).data)
