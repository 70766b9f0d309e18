"""An endpoint's signing secrets, which lie sealed beside it."""

from __future__ import annotations

from datetime import datetime

from apps.core.sealing import seal, unseal
from apps.notifications.models import WebhookEndpoint


def sealed(endpoint: WebhookEndpoint, secret: str) -> bytes:
    return seal(secret.encode(), _place(endpoint))


def secret_of(endpoint: WebhookEndpoint) -> str:
    return unseal(bytes(endpoint.sealed_secret), _place(endpoint)).decode()


def secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """The secrets to sign with: the newest, and the one before while it still counts."""
    found = [secret_of(endpoint)]
    if endpoint.sealed_previous_secret and endpoint.previous_expires_at and endpoint.previous_expires_at > now:
        found.append(unseal(bytes(endpoint.sealed_previous_secret), _place(endpoint)).decode())
    return found


def _place(endpoint: WebhookEndpoint) -> str:
    return f"webhook endpoint {endpoint.organization_id} {endpoint.pk}"
