"""An endpoint's signing secrets, which lie sealed beside it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from apps.core.sealing import Unsealable, seal, unseal
from apps.notifications.models import WebhookEndpoint
from apps.notifications.webhooks.errors import SecretUnreadable


def sealed(endpoint: WebhookEndpoint, secret: str) -> bytes:
    return seal(secret.encode(), _place(endpoint))


def secret_of(endpoint: WebhookEndpoint) -> str:
    """Raises `SecretUnreadable`."""
    try:
        return unseal(bytes(endpoint.sealed_secret), _place(endpoint)).decode()
    except Unsealable:
        raise SecretUnreadable from None


def is_readable(endpoint: WebhookEndpoint) -> bool:
    try:
        secret_of(endpoint)
    except SecretUnreadable:
        return False
    return True


def secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """The secrets to sign with: the newest, and the one before while it counts. Raises `SecretUnreadable`."""
    found = [secret_of(endpoint)]
    if endpoint.sealed_previous_secret and endpoint.previous_expires_at and endpoint.previous_expires_at > now:
        # A secret that was rotated because it could not be read signs nothing more.
        with suppress(Unsealable):
            found.append(unseal(bytes(endpoint.sealed_previous_secret), _place(endpoint)).decode())
    return found


def _place(endpoint: WebhookEndpoint) -> str:
    return f"webhook endpoint {endpoint.organization_id} {endpoint.pk}"
