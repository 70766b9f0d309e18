"""What tests of webhooks do."""

from __future__ import annotations

from contextvars import Context

from apps.notifications.models import Delivery
from apps.notifications.webhooks import dispatch

EVENT = "job.failed"


def dispatched() -> int:
    """As a worker does it: without a tenant in scope."""
    return Context().run(dispatch.dispatch)


def only_delivery() -> Delivery:
    found: Delivery = Delivery.objects.select_related("message").get()
    return found
