"""Outgoing webhooks: where events are sent, and the outbox of what is sent."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.core import tenancy
from apps.notifications.webhooks.enums import OPEN, DeliveryStatus, EndpointStatus

CALLBACKS = "Job callbacks"


class WebhookEndpoint(tenancy.TenantModel):
    """An address that is told of events. Its secrets are sealed: see `webhooks.secrets`.

    The one `for_callbacks` is told of none: each of its deliveries has an address of its own.
    """

    url = models.CharField(max_length=2000, blank=True)
    description = models.CharField(max_length=200, blank=True)
    events = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    sealed_secret = models.BinaryField()
    sealed_previous_secret = models.BinaryField(null=True)
    previous_expires_at = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_because = models.CharField(max_length=200, blank=True)
    for_callbacks = models.BooleanField(default=False)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], name="webhooks_one_for_callbacks", condition=Q(for_callbacks=True)
            )
        ]
        indexes = [models.Index(fields=["organization", "-id"], name="webhooks_endpoint_newest")]

    def __str__(self) -> str:
        return CALLBACKS if self.for_callbacks else self.url

    @property
    def status(self) -> EndpointStatus:
        return EndpointStatus.DISABLED if self.disabled_at else EndpointStatus.ACTIVE

    def wants(self, event: str) -> bool:
        """Whether it is told of `event`; one that names no events is told of all."""
        return not self.for_callbacks and (not self.events or event in self.events)


class WebhookMessage(tenancy.TenantModel):
    """One event as it is sent: the same id and the same body to everybody, at every attempt."""

    event = models.CharField(max_length=60)
    body = models.TextField()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [models.Index(fields=["created_at"], name="webhooks_message_age")]

    def __str__(self) -> str:
        return self.webhook_id

    @property
    def webhook_id(self) -> str:
        return f"msg_{self.pk.hex}"


class Delivery(tenancy.TenantModel):
    """One message on its way to one endpoint.

    It is a dispatcher's while `lease_until` lies ahead; `attempt` fences off earlier ones. `failures` counts since
    `began_at`, when the schedule of retries began. A callback has a `url` and the row that it tells of.
    """

    message = models.ForeignKey(WebhookMessage, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    began_at = models.DateTimeField(db_default=Now())
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    url = models.CharField(max_length=2000, blank=True)
    subject_id = models.UUIDField(null=True)

    class Meta(tenancy.TenantModel.Meta):
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["organization", "message", "endpoint"], name="webhooks_delivery_once")
        ]
        indexes = [
            models.Index(fields=["organization", "endpoint", "-id"], name="webhooks_delivery_newest"),
            models.Index(fields=["organization", "endpoint", "status", "-id"], name="webhooks_delivery_by_status"),
            models.Index(
                fields=["endpoint", "next_attempt_at"], name="webhooks_delivery_due", condition=Q(status__in=OPEN)
            ),
            models.Index(
                fields=["organization", "subject_id", "-id"],
                name="webhooks_delivery_by_subject",
                condition=Q(subject_id__isnull=False),
            ),
            models.Index(
                fields=["lease_until"], name="webhooks_delivery_leased", condition=Q(lease_until__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.message.event} to {self.address}"

    @property
    def address(self) -> str:
        """Where it goes."""
        return self.url or self.endpoint.url

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class DeliveryAttempt(tenancy.TenantModel):
    """One request and what came back. Without `finished_at` the process that sent it died before it could tell."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    url = models.CharField(max_length=2000)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    request_headers = models.JSONField(default=dict)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "delivery", "number"], name="webhooks_attempt_once")
        ]
        indexes = [models.Index(fields=["created_at"], name="webhooks_attempt_age")]

    def __str__(self) -> str:
        return f"attempt {self.number}"

    @property
    def is_success(self) -> bool:
        return self.response_status is not None and 200 <= self.response_status < 300

    @property
    def outcome(self) -> str:
        """`succeeded`, `failed`, `running`, or `lost` when a later attempt took its place."""
        if self.finished_at:
            return "succeeded" if self.is_success else "failed"
        return "running" if self.number == self.delivery.attempt and self.delivery.is_open else "lost"
