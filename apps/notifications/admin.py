from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ConsoleAdmin
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.services import webhooks as services


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ConsoleAdmin):
    list_display = ["url", "organization", "status", "disabled_because", "created_at"]
    search_fields = ["url", "description"]
    exclude = ["sealed_secret", "sealed_previous_secret"]


@admin.register(Delivery)
class DeliveryAdmin(ConsoleAdmin):
    """What is on its way to webhooks, and what was given up."""

    list_display = [
        "message",
        "event",
        "endpoint",
        "organization",
        "status",
        "attempt",
        "next_attempt_at",
        "created_at",
    ]
    list_filter = ["status"]
    search_fields = ["message__event", "endpoint__url"]
    actions = ["resend"]

    @admin.display(ordering="message__event")
    def event(self, row: Delivery) -> str:
        return row.message.event

    @admin.action(description="Send again")
    def resend(self, request: HttpRequest, deliveries: QuerySet[Any]) -> None:
        self.each(request, deliveries, services.resend)
