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


@dataclass(frozen=True, slots=True)
class Letter:
    """An event with its data, and the columns of each delivery of it: an endpoint, and more for a callback."""

    event: str
    data: dict[str, Any]
    to: list[dict[str, Any]]


def enqueue(event: str, data: dict[str, Any]) -> list[Delivery]:
    """Tell the endpoints of the current tenant that want `event`. `data` holds what JSON can tell, and no secrets."""
    return enqueue_all([(event, data)])


@transaction.atomic
def enqueue_all(happened: Sequence[tuple[str, dict[str, Any]]]) -> list[Delivery]:
    """Tell of these events, each with its data; more of them take no more statements."""
    endpoints = list(WebhookEndpoint.objects.filter(disabled_at__isnull=True))
    letters = [
        Letter(event, data, [{"endpoint": row} for row in endpoints if row.wants(event)]) for event, data in happened
    ]
    return _write([letter for letter in letters if letter.to])


def send_to(endpoint: WebhookEndpoint, event: str, data: dict[str, Any]) -> Delivery:
    (delivery,) = _write([Letter(event, data, [{"endpoint": endpoint}])])
    return delivery


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
    return _write(
        [
            Letter(one.event, one.data, [{"endpoint": endpoint, "url": one.url, "subject_id": one.subject_id}])
            for one in callbacks
        ]
    )


def _write(letters: list[Letter]) -> list[Delivery]:
    if not letters:
        return []
    now = clock.now()
    messages = [WebhookMessage(event=letter.event, body=_body(letter.event, now, letter.data)) for letter in letters]
    WebhookMessage.objects.bulk_create(messages)
    deliveries: list[Delivery] = Delivery.objects.bulk_create(
        Delivery(message=message, began_at=now, next_attempt_at=now, **columns)
        for message, letter in zip(messages, letters, strict=True)
        for columns in letter.to
    )
    doorbell.ring_on_commit()
    return deliveries


def _body(event: str, now: datetime, data: dict[str, Any]) -> str:
    at = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    document = {"type": event, "timestamp": at, "data": data}
    return json.dumps(document, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))
