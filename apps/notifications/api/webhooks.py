from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ModelApi
from apps.notifications.models import Delivery, DeliveryAttempt, WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks.enums import EndpointStatus

HOUR = timedelta(hours=1)


class EventsField(serializers.ListField):
    """Names of events; none means all."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=60), max_length=50, **kwargs)


class WebhookEndpointSerializer(serializers.ModelSerializer):
    status = serializers.ChoiceField(choices=EndpointStatus.choices, read_only=True)
    previous_expires_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Until when deliveries are signed with the previous secret too."
    )

    class Meta:
        model = WebhookEndpoint
        read_only_fields = ["for_callbacks"]
        fields = [
            "id",
            "url",
            "description",
            "events",
            "status",
            "for_callbacks",
            "disabled_at",
            "disabled_because",
            "previous_expires_at",
            "created_at",
        ]


class NewEndpointSerializer(serializers.Serializer):
    url = serializers.CharField(max_length=2000)
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    events = EventsField(required=False, help_text="Empty means all.")


class EndpointChangesSerializer(serializers.Serializer):
    url = serializers.CharField(max_length=2000, required=False)
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    events = EventsField(required=False, help_text="Empty means all.")


class EndpointRotationSerializer(serializers.Serializer):
    overlap_hours = serializers.IntegerField(
        min_value=0,
        max_value=services.LONGEST_OVERLAP // HOUR,
        default=services.OVERLAP // HOUR,
        help_text="For how long deliveries are signed with the previous secret too.",
    )


class EndpointSecretSerializer(WebhookEndpointSerializer):
    secret = serializers.CharField(help_text="The key of the signatures: `whsec_` and 32 bytes in base64.")

    class Meta(WebhookEndpointSerializer.Meta):
        fields = [*WebhookEndpointSerializer.Meta.fields, "secret"]


class DeliverySerializer(serializers.ModelSerializer):
    webhook_id = serializers.CharField(source="message.webhook_id", read_only=True)
    event = serializers.CharField(source="message.event", read_only=True)
    url = serializers.CharField(source="address", read_only=True)
    subject_id = serializers.UUIDField(read_only=True, allow_null=True, help_text="The job, of a callback.")

    class Meta:
        model = Delivery
        fields = [
            "id",
            "webhook_id",
            "event",
            "endpoint",
            "url",
            "subject_id",
            "status",
            "attempt",
            "next_attempt_at",
            "finished_at",
            "created_at",
        ]


class DeliveryAttemptSerializer(serializers.ModelSerializer):
    class Meta:
        model = DeliveryAttempt
        fields = [
            "number",
            "url",
            "started_at",
            "finished_at",
            "duration_ms",
            "request_headers",
            "response_status",
            "response_headers",
            "response_body",
            "error",
        ]


class DeliveryDetailSerializer(DeliverySerializer):
    body = serializers.CharField(source="message.body", read_only=True)
    attempts = DeliveryAttemptSerializer(many=True, read_only=True)

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "body", "attempts"]


class WebhookApi(ModelApi):
    """Webhook endpoints: addresses that are told of events, signed as Standard Webhooks says."""

    permission_area = "webhooks"
    queryset = WebhookEndpoint.objects.all()
    serializer_class = WebhookEndpointSerializer
    filterset_fields = ["url"]
    edited_fields = ("url", "description", "events")

    @extend_schema(request=NewEndpointSerializer, responses={201: EndpointSecretSerializer})
    def create(self, request: Request) -> Response:
        form = NewEndpointSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        endpoint = services.create_endpoint(**form.validated_data, by=self.actor)
        location = reverse("webhookendpoint-detail", args=[endpoint.pk])
        return self._with_secret(endpoint, status.HTTP_201_CREATED, {"Location": location})

    @extend_schema(request=EndpointChangesSerializer, responses=WebhookEndpointSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        form = EndpointChangesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        endpoint = services.update_endpoint(self.get_object(), by=self.actor, **form.validated_data)
        return Response(self.get_serializer(endpoint).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Take the endpoint away, with its deliveries."""
        services.delete_endpoint(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send the event `webhook.test`."""
        delivery = services.send_test(self.get_object(), by=self.actor)
        return Response(DeliverySerializer(delivery).data, status.HTTP_202_ACCEPTED)

    @extend_schema(request=EndpointRotationSerializer, responses=EndpointSecretSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Give the endpoint a new secret; until the overlap is over deliveries carry both signatures."""
        form = EndpointRotationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        overlap = timedelta(hours=form.validated_data["overlap_hours"])
        return self._with_secret(services.rotate_secret(self.get_object(), overlap=overlap, by=self.actor))

    @extend_schema(request=None, responses=EndpointSecretSerializer)
    @action(detail=True, methods=["post"])
    def secret(self, request: Request, pk: str) -> Response:
        """Show the secret, which the trail tells."""
        return self._with_secret(self.get_object())

    @extend_schema(request=None, responses=WebhookEndpointSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: str) -> Response:
        """Send nothing more; what was still to be sent is cancelled."""
        return Response(self.get_serializer(services.disable_endpoint(self.get_object(), by=self.actor)).data)

    @extend_schema(request=None, responses=WebhookEndpointSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: str) -> Response:
        """Send events again, from now on."""
        return Response(self.get_serializer(services.enable_endpoint(self.get_object(), by=self.actor)).data)

    def _with_secret(
        self, endpoint: WebhookEndpoint, code: int = status.HTTP_200_OK, headers: dict[str, str] | None = None
    ) -> Response:
        secret = services.reveal_secret(endpoint, by=self.actor)
        answer = {**self.get_serializer(endpoint).data, "secret": secret}
        return Response(answer, status=code, headers={"Cache-Control": "no-store", **(headers or {})})


class WebhookDeliveryApi(ModelApi):
    """Deliveries: what was sent to webhook endpoints, each attempt with its request and answer, for 30 days."""

    permission_area = "webhooks"
    queryset = Delivery.objects.select_related("message", "endpoint")
    serializer_class = DeliverySerializer
    filterset_fields = ["endpoint", "status", "subject_id"]

    @extend_schema(responses=DeliveryDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        newest_first = Prefetch("attempts", DeliveryAttempt.objects.order_by("-number"))
        self.queryset = self.queryset.prefetch_related(newest_first)
        return Response(DeliveryDetailSerializer(self.get_object()).data)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Send it once more, now, with the same id."""
        delivery = services.resend(self.get_object(), by=self.actor)
        return Response(DeliverySerializer(delivery).data, status.HTTP_202_ACCEPTED)
