"""Into the outbox: an event becomes deliveries in the transaction of what it tells, so that both exist or none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from apps.notifications.models import Delivery, WebhookEndpoint, WebhookMessage
from apps.notifications.webhooks import clock, doorbell


@transaction.atomic
def enqueue(event: str, data: dict[str, Any]) -> list[Delivery]:
    """Tell the endpoints of the current tenant that want `event`. `data` holds what JSON can tell, and no secrets."""
    endpoints = [row for row in WebhookEndpoint.objects.filter(disabled_at__isnull=True) if row.wants(event)]
    return send_to(endpoints, event, data)


def send_to(endpoints: list[WebhookEndpoint], event: str, data: dict[str, Any]) -> list[Delivery]:
    if not endpoints:
        return []
    now = clock.now()
    message = WebhookMessage.objects.create(event=event, body=_body(event, now, data))
    rows = [Delivery(message=message, endpoint=row, began_at=now, next_attempt_at=now) for row in endpoints]
    deliveries: list[Delivery] = Delivery.objects.bulk_create(rows)
    doorbell.ring_on_commit()
    return deliveries


def _body(event: str, now: datetime, data: dict[str, Any]) -> str:
    at = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    document = {"type": event, "timestamp": at, "data": data}
    return json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))
