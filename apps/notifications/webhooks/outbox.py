"""Into the outbox: an event becomes deliveries in the transaction of what it tells, so that both exist or none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction

from apps.notifications.models import Delivery, WebhookEndpoint, WebhookMessage
from apps.notifications.webhooks import clock, doorbell


def enqueue(event: str, data: dict[str, Any]) -> list[Delivery]:
    """Tell the endpoints of the current tenant that want `event`. `data` holds what JSON can tell, and no secrets."""
    return enqueue_all([(event, data)])


@transaction.atomic
def enqueue_all(happened: Sequence[tuple[str, dict[str, Any]]]) -> list[Delivery]:
    """Tell of these events, each with its data; more of them take no more statements."""
    endpoints = list(WebhookEndpoint.objects.filter(disabled_at__isnull=True))
    wanted = [(event, data, [row for row in endpoints if row.wants(event)]) for event, data in happened]
    return _write([one for one in wanted if one[2]])


def send_to(endpoint: WebhookEndpoint, event: str, data: dict[str, Any]) -> Delivery:
    (delivery,) = _write([(event, data, [endpoint])])
    return delivery


def _write(wanted: list[tuple[str, dict[str, Any], list[WebhookEndpoint]]]) -> list[Delivery]:
    if not wanted:
        return []
    now = clock.now()
    messages = [WebhookMessage(event=event, body=_body(event, now, data)) for event, data, _ in wanted]
    WebhookMessage.objects.bulk_create(messages)
    deliveries: list[Delivery] = Delivery.objects.bulk_create(
        Delivery(message=message, endpoint=row, began_at=now, next_attempt_at=now)
        for message, (_, _, endpoints) in zip(messages, wanted, strict=True)
        for row in endpoints
    )
    doorbell.ring_on_commit()
    return deliveries


@dataclass(frozen=True, slots=True)
class Callback:
    """An event that is told to one address, which the row `subject_id` brought along."""

    url: str
    subject_id: UUID
    event: str
    data: dict[str, Any]


@transaction.atomic
def call_back(endpoint: WebhookEndpoint, callbacks: Sequence[Callback]) -> list[Delivery]:
    """Send each to its address, signed with the secret of `endpoint`."""
    now = clock.now()
    messages = [WebhookMessage(event=one.event, body=_body(one.event, now, one.data)) for one in callbacks]
    rows = [
        Delivery(
            message=message,
            endpoint=endpoint,
            url=one.url,
            subject_id=one.subject_id,
            began_at=now,
            next_attempt_at=now,
        )
        for message, one in zip(WebhookMessage.objects.bulk_create(messages), callbacks, strict=True)
    ]
    deliveries: list[Delivery] = Delivery.objects.bulk_create(rows)
    doorbell.ring_on_commit()
    return deliveries


def _body(event: str, now: datetime, data: dict[str, Any]) -> str:
    at = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    document = {"type": event, "timestamp": at, "data": data}
    return json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))
