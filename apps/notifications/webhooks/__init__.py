"""Signed outgoing webhooks. What an event's teller needs is `enqueue`."""

from __future__ import annotations

from typing import Any


def enqueue(event: str, data: dict[str, Any]) -> None:
    """Send `event` to whoever wants it, in the caller's transaction and tenant."""
    from apps.notifications.webhooks import outbox

    outbox.enqueue(event, data)
