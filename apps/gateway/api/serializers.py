from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.choices import ToldChoiceField
from apps.deployments.models import Deployment
from apps.gateway.breakers import State
from apps.gateway.enums import ErrorClass
from apps.gateway.models import ModelCall, ModelCallBody, Route, Target, Upstream, UpstreamKey, VirtualKey
from apps.gateway.queries import UpstreamHealth, kept_body
from apps.gateway.services import Check, keys, routes, upstreams
from apps.organizations.enums import TokenKind
from apps.organizations.models import ApiToken

UPSTREAM = {"name": "OpenAI", "kind": "openai", "base_url": "https://api.openai.com/v1"}
UPSTREAM_HELP = {
    "base_url": {"help_text": "The beginning of its addresses. OpenAI, Anthropic and Gemini have their usual one."},
    "api_version": {"help_text": "Azure alone needs it."},
    "headers": {"help_text": "Sent with each call, as an object of names and texts. Keys are no headers."},
    "most_at_once": {"help_text": "Calls that one process sends it at the same time; null for any number."},
    "health_path": {"help_text": "Asked now and then, below the base URL; empty for never."},
}
ROUTE_HELP = {
    "name": {"help_text": "What callers name as `model`."},
    "strategy": {"help_text": "How one of a tier's targets is chosen."},
    "deadline_ms": {"help_text": "For all attempts together."},
    "first_byte_ms": {"help_text": "Until an answer begins."},
    "idle_ms": {"help_text": "Between two pieces of an answer."},
    "hedge_after_ms": {"help_text": "Ask another target too when nothing came for so long; null for never."},
    "bodies_days": {"help_text": "For how long requests and answers are kept, redacted; null for not at all."},
}
KEY_HELP = {
    "routes": {"help_text": "Ids of the routes that it may use; null for all."},
    "budget_micro_usd": {"help_text": "Millionths of a dollar; null for none."},
    "tags": {"help_text": "Put on each of its calls, as an object of names and texts."},
}


class UpstreamKeySerializer(serializers.ModelSerializer):
    class Meta:
        model = UpstreamKey
        fields = ["id", "upstream", "name", "hint", "is_paused", "created_at"]


class NewUpstreamKeySerializer(serializers.ModelSerializer):
    secret = serializers.CharField(write_only=True, help_text="Sealed at once, and never shown again.")

    class Meta:
        model = UpstreamKey
        fields = ["upstream", "name", "secret"]


class UpstreamKeyChangesSerializer(serializers.ModelSerializer):
    class Meta:
        model = UpstreamKey
        fields = ["is_paused"]


@extend_schema_serializer(examples=[OpenApiExample("OpenAI", {**UPSTREAM, "keys": []}, response_only=True)])
class UpstreamSerializer(serializers.ModelSerializer):
    keys = UpstreamKeySerializer(many=True, read_only=True)

    class Meta:
        model = Upstream
        fields = ["id", *upstreams.COLUMNS, "keys", "created_at"]
        extra_kwargs = UPSTREAM_HELP


class UpstreamCheckSerializer(serializers.Serializer[Check]):
    is_ok = serializers.BooleanField(help_text="Whether it would serve calls, as far as can be known without one.")
    status = serializers.IntegerField(help_text="Of its answer; 0 where none came.")
    latency_ms = serializers.IntegerField()
    message = serializers.CharField(help_text="What is wrong; empty if nothing is.")
    models = serializers.ListField(child=serializers.CharField(), help_text="Names that it knows models by.")


class RestingKeySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    until = serializers.DateTimeField()


class LastCheckSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    is_ok = serializers.BooleanField()
    status = serializers.IntegerField(help_text="Of the answer; 0 where none came.")
    took_ms = serializers.IntegerField()
    error_class = serializers.CharField()
    message = serializers.CharField()


class UpstreamHealthSerializer(serializers.Serializer[UpstreamHealth]):
    id = serializers.UUIDField(source="upstream.pk")
    name = serializers.CharField(source="upstream.name")
    is_paused = serializers.BooleanField(source="upstream.is_paused")
    processes = serializers.IntegerField(source="seen.processes", help_text="That called it in the last ten minutes.")
    breaker = serializers.ChoiceField([one.value for one in State], source="seen.breaker", help_text="The worst.")
    open_until = serializers.DateTimeField(allow_null=True)
    in_flight = serializers.IntegerField(source="seen.in_flight")
    latency_ms = serializers.FloatField(source="seen.latency_ms", allow_null=True)
    failures = serializers.DictField(
        source="seen.failures", child=serializers.IntegerField(), help_text="Of five minutes, by class of error."
    )
    resting_keys = serializers.SerializerMethodField(help_text="Keys that were limited or refused.")
    check = serializers.SerializerMethodField(help_text="What its health path said last; null if it has none.")

    @extend_schema_field(RestingKeySerializer(many=True))
    def get_resting_keys(self, told: UpstreamHealth) -> Any:
        rows = [{"id": key.pk, "name": key.name, "until": until} for key, until in told.resting]
        return RestingKeySerializer(rows, many=True).data

    @extend_schema_field(LastCheckSerializer(allow_null=True))
    def get_check(self, told: UpstreamHealth) -> Any:
        check = told.seen.check
        if check is None:
            return None
        return LastCheckSerializer({**asdict(check), "is_ok": check.is_ok, "at": told.checked_at}).data


class HealthSerializer(serializers.Serializer[Any]):
    upstreams = UpstreamHealthSerializer(many=True)


class UpstreamChangesSerializer(serializers.ModelSerializer):
    serializer_choice_field = ToldChoiceField

    class Meta:
        model = Upstream
        fields = upstreams.COLUMNS
        extra_kwargs = UPSTREAM_HELP


@extend_schema_serializer(
    examples=[OpenApiExample("OpenAI", {**UPSTREAM, "secret": "sk-..."}, request_only=True)],
)
class NewUpstreamSerializer(UpstreamChangesSerializer):
    secret = serializers.CharField(required=False, default="", help_text="Its first key; never shown again.")

    class Meta(UpstreamChangesSerializer.Meta):
        fields = (*upstreams.COLUMNS, "secret")


class TargetSerializer(serializers.ModelSerializer):
    """Where a route may send. `id` names a target that the route has already."""

    id = serializers.UUIDField(required=False)
    upstream = serializers.PrimaryKeyRelatedField(
        queryset=Upstream.objects.all(), required=False, allow_null=True, help_text="Either this or `deployment`."
    )
    deployment = serializers.PrimaryKeyRelatedField(
        queryset=Deployment.objects.all(), required=False, allow_null=True, help_text="One of your own."
    )
    on = serializers.ListField(
        child=serializers.ChoiceField([one.value for one in ErrorClass]),
        required=False,
        help_text="What a later tier is for; empty for all faults of a provider.",
    )
    when = serializers.DictField(
        required=False,
        help_text="Conditions: `headers`, `min_tokens`, `max_tokens`, `is_stream`, `hours`, `days`, `time_zone`.",
    )

    class Meta:
        model = Target
        fields = ["id", *routes.TARGET_COLUMNS]


class RouteSerializer(serializers.ModelSerializer):
    targets = TargetSerializer(many=True, read_only=True)

    class Meta:
        model = Route
        fields = ["id", *routes.COLUMNS, "targets", "created_at"]
        extra_kwargs = ROUTE_HELP


class NewRouteSerializer(serializers.ModelSerializer):
    serializer_choice_field = ToldChoiceField
    targets = TargetSerializer(many=True)

    class Meta:
        model = Route
        fields = (*routes.COLUMNS, "targets")
        extra_kwargs = ROUTE_HELP


class RouteChangesSerializer(NewRouteSerializer):
    pass


class VirtualKeySerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="token.name", read_only=True)
    token = serializers.PrimaryKeyRelatedField[ApiToken](read_only=True)
    status = serializers.CharField(source="token.status", read_only=True)
    expires_at = serializers.DateTimeField(source="token.expires_at", read_only=True, allow_null=True)
    spent_micro_usd = serializers.SerializerMethodField(help_text="Of the budget in this period; null without one.")

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_spent_micro_usd(self, key: VirtualKey) -> int | None:
        return self.context["spent"].get(key.pk)

    class Meta:
        model = VirtualKey
        fields = ["id", "name", "token", "status", "expires_at", *keys.COLUMNS, "spent_micro_usd", "created_at"]
        extra_kwargs = KEY_HELP


class VirtualKeyIssuedSerializer(VirtualKeySerializer):
    secret = serializers.CharField(read_only=True, help_text="The key itself, shown this once.")

    class Meta(VirtualKeySerializer.Meta):
        fields = [*VirtualKeySerializer.Meta.fields, "secret"]


class VirtualKeyChangesSerializer(serializers.ModelSerializer):
    serializer_choice_field = ToldChoiceField

    class Meta:
        model = VirtualKey
        fields = keys.COLUMNS
        extra_kwargs = KEY_HELP


class NewVirtualKeySerializer(VirtualKeyChangesSerializer):
    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(TokenKind.choices, required=False, default=TokenKind.PERSONAL)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    allowed_networks = serializers.ListField(child=serializers.CharField(max_length=49), required=False)

    class Meta(VirtualKeyChangesSerializer.Meta):
        fields = ("name", "kind", "expires_at", "allowed_networks", *keys.COLUMNS)


class ModelCallSerializer(serializers.ModelSerializer):
    class Meta:
        model = ModelCall
        exclude = ["organization", "created_at"]


class BodySerializer(serializers.ModelSerializer):
    class Meta:
        model = ModelCallBody
        fields = ["request", "response", "expires_at"]


class ModelCallDetailSerializer(ModelCallSerializer):
    body = serializers.SerializerMethodField(help_text="Where the route keeps bodies; null otherwise.")

    @extend_schema_field(BodySerializer(allow_null=True))
    def get_body(self, call: ModelCall) -> Any:
        kept = kept_body(call)
        return BodySerializer(kept).data if kept else None
