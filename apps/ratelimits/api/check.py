"""Asking the limiter by API."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.strict import StrictSerializer
from apps.core.api.views import InTenant
from apps.ratelimits import checking, headers
from apps.ratelimits.checking import Question, Said
from apps.ratelimits.matching import Asked
from apps.ratelimits.models import LARGEST, LONGEST_MODEL, LONGEST_ROUTE

MOST_CALLS = 100
MOST_HEADERS = 20
LONGEST_VALUE = 200
LONGEST_RESERVATION = 20_000
QUANTITIES = ("requests", "tokens", "cost")


class CheckedAmountsSerializer(StrictSerializer):
    requests = serializers.IntegerField(min_value=0, max_value=LARGEST, required=False)
    tokens = serializers.IntegerField(min_value=0, max_value=LARGEST, required=False)
    cost = serializers.IntegerField(
        min_value=0, max_value=LARGEST, required=False, help_text="In millionths of a dollar."
    )


class CheckedCallSerializer(CheckedAmountsSerializer):
    """A call that your service is about to serve: what it is, and how much it is expected to take."""

    policy = serializers.CharField(
        max_length=80, required=False, help_text="The name or id of the one policy to ask; without it all that match."
    )
    address = serializers.IPAddressField(required=False)
    user = serializers.CharField(max_length=LONGEST_VALUE, required=False, help_text="Any name you have for a person.")
    token = serializers.CharField(max_length=LONGEST_VALUE, required=False, help_text="An id of a key; not the key.")
    method = serializers.CharField(max_length=10, required=False)
    route = serializers.CharField(max_length=LONGEST_ROUTE, required=False)
    model = serializers.CharField(max_length=LONGEST_MODEL, required=False)
    headers = serializers.DictField(
        child=serializers.CharField(max_length=LONGEST_VALUE, allow_blank=True), required=False
    )
    consume = serializers.BooleanField(default=True, help_text="False only looks, and takes nothing.")

    def validate_headers(self, given: dict[str, str]) -> dict[str, str]:
        if len(given) > MOST_HEADERS:
            raise serializers.ValidationError(f"Name {MOST_HEADERS} headers at most.")
        return {name.lower(): value for name, value in given.items()}


class CheckedCallsSerializer(StrictSerializer):
    calls = serializers.ListField(child=CheckedCallSerializer(), min_length=1, max_length=MOST_CALLS)


class LimitVerdictSerializer(serializers.Serializer):
    policy = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.CharField()
    is_allowed = serializers.BooleanField()
    is_shadow = serializers.BooleanField(help_text="Whether it is in shadow, where it counts and refuses nothing.")
    limit = serializers.IntegerField()
    remaining = serializers.IntegerField()
    retry_after_ms = serializers.IntegerField(help_text="0 if it lets the call pass, -1 if it never will.")
    reset_after_ms = serializers.IntegerField(help_text="When all of the limit is free again.")


class CheckSerializer(serializers.Serializer):
    is_allowed = serializers.BooleanField()
    denied_because = serializers.CharField(
        allow_null=True, help_text="The reason of the entry that denies the call; null when none does."
    )
    retry_after_ms = serializers.IntegerField(help_text="0 if the call passes, -1 if waiting does not help.")
    policies = LimitVerdictSerializer(many=True)
    reservation = serializers.CharField(
        help_text="For `extend` while the call lasts and `settle` once it is over. Empty when it took nothing."
    )


class ChecksSerializer(serializers.Serializer):
    results = CheckSerializer(many=True)


class CheckReservationSerializer(StrictSerializer):
    reservation = serializers.CharField(max_length=LONGEST_RESERVATION)


class CheckSettlementSerializer(CheckReservationSerializer, CheckedAmountsSerializer):
    pass


EXAMPLES = [
    OpenApiExample(
        "A customer's request of some 800 tokens",
        {"policy": "Each customer", "user": "customer-42", "tokens": 800},
        request_only=True,
    )
]


class CheckApi(InTenant, viewsets.ViewSet):
    """The limiter for your own services, by policies whose planes hold `check`."""

    permission_area = "limits"
    permissions_by_action: ClassVar[dict[str, str]] = dict.fromkeys(
        ("check", "check_batch", "extend", "settle"), "limits.check"
    )

    @extend_schema(
        operation_id="ratelimits_check", request=CheckedCallSerializer, responses=CheckSerializer, examples=EXAMPLES
    )
    def check(self, request: Request) -> Response:
        """Whether a call may pass now; then it has taken its share. The answer is 200 also when it may not."""
        [said] = self._said([_valid(CheckedCallSerializer, request)])
        fields = headers.fields(said.decision, said.matched.policies)
        return Response(CheckSerializer(_told(said)).data, headers=dict(fields))

    @extend_schema(operation_id="ratelimits_check_batch", request=CheckedCallsSerializer, responses=ChecksSerializer)
    def check_batch(self, request: Request) -> Response:
        """The same for up to 100 calls, in their order; each is decided by itself."""
        said = self._said(_valid(CheckedCallsSerializer, request)["calls"])
        return Response(ChecksSerializer({"results": [_told(one) for one in said]}).data)

    @extend_schema(operation_id="ratelimits_extend", request=CheckReservationSerializer, responses={204: None})
    def extend(self, request: Request) -> Response:
        """Say that a call goes on, so that it keeps its place among the calls at once for another window.

        Say it well before the window of the policy is over, such as after each third of it.
        """
        checking.extend(str(self.organization.pk), _valid(CheckReservationSerializer, request)["reservation"])
        return Response(status=204)

    @extend_schema(operation_id="ratelimits_settle", request=CheckSettlementSerializer, responses={204: None})
    def settle(self, request: Request) -> Response:
        """Say once that a call is over, and what it used: the rest is given back, and its place comes free."""
        given = _valid(CheckSettlementSerializer, request)
        checking.settle(str(self.organization.pk), given.pop("reservation"), given)
        return Response(status=204)

    def _said(self, calls: list[dict[str, Any]]) -> list[Said]:
        organization_id = str(self.organization.pk)
        return checking.check(organization_id, [_question(organization_id, call) for call in calls])


def _valid(form_class: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    form = form_class(data=request.data)
    form.is_valid(raise_exception=True)
    return form.validated_data


def _question(organization_id: str, call: dict[str, Any]) -> Question:
    texts = {name: call.get(name, "") for name in ("address", "user", "token", "method", "route", "model")}
    given = call.get("headers", {})
    asked = Asked(
        organization_id,
        checking.PLANE,
        header=lambda name: given.get(name, ""),
        quantities={name: call[name] for name in QUANTITIES if name in call},
        **texts,
    )
    return Question(asked, call.get("policy", ""), call["consume"])


def _told(said: Said) -> dict[str, Any]:
    return {
        "is_allowed": said.is_allowed,
        "denied_because": said.denied.reason if said.denied else None,
        "retry_after_ms": said.retry_after_ms,
        "policies": [
            {
                "policy": policy.id,
                "name": policy.name,
                "quantity": policy.quantity,
                "is_allowed": verdict.is_allowed,
                "is_shadow": rule.is_shadow,
                "limit": rule.limit,
                "remaining": verdict.remaining,
                "retry_after_ms": verdict.retry_after_ms,
                "reset_after_ms": verdict.reset_after_ms,
            }
            for policy, rule, verdict in zip(
                said.matched.policies, said.decision.rules, said.decision.verdicts, strict=True
            )
        ],
        "reservation": said.reservation,
    }
