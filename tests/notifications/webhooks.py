"""What tests of webhooks do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context

from apps.core.actors import Actor
from apps.notifications.models import Delivery, DeliveryAttempt, WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import clock, dispatch
from apps.notifications.webhooks.enums import DeliveryStatus
from workers.supervisor import programs
from workers.supervisor.state import ROOT

EVENT = "job.failed"


def dispatched() -> int:
    """As a worker does it: without a tenant in scope."""
    return Context().run(dispatch.dispatch)


def only_delivery() -> Delivery:
    found: Delivery = Delivery.objects.select_related("message").get()
    return found


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A real process that sends, as an installation runs it."""
    command = [sys.executable, *programs.worker("errands", programs.ERRANDS, at_once=4, pool="threads")]
    environment = {**os.environ, "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.1/32"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def failed(endpoint: WebhookEndpoint, actor: Actor) -> Delivery:
    """A delivery that was tried once and given up."""
    delivery = services.send_test(endpoint, by=actor)
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, url=endpoint.url, started_at=clock.now(), finished_at=clock.now(), error="refused"
    )
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.FAILED, attempt=1, finished_at=clock.now())
    return delivery
