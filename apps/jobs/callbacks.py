"""Callbacks: the end of a job, posted to the address that it was submitted with.

They are sent as webhooks are: signed, tried for 72 hours, with a log of each attempt, and sent again by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.core.actors import SYSTEM, Actor
from apps.core.outbound import client as outbound
from apps.jobs.enums import END_EVENTS, Status
from apps.jobs.models import Job
from apps.notifications.models import Delivery
from apps.notifications.services import webhooks
from apps.notifications.webhooks import outbox


def prepared_url(url: str, *, by: Actor) -> str:
    """`url` as it will be called; from now on there is a secret to check what comes there.

    Raises `InvalidUrl`, `AddressRefused`.
    """
    parsed = str(outbound.parsed(url.strip(), field="callback_url"))
    webhooks.callback_endpoint(by=by)
    return parsed


def call_back(ends: Sequence[tuple[Job, dict[str, Any]]]) -> None:
    """Post what is told of each job's end to its address, unless the organization disabled callbacks."""
    calls = [
        outbox.Callback(job.callback_url, job.pk, END_EVENTS[Status(job.status)], {"id": str(job.pk), **told})
        for job, told in ends
        if job.callback_url
    ]
    if calls and not (endpoint := webhooks.callback_endpoint(by=SYSTEM)).disabled_at:
        outbox.call_back(endpoint, calls)


def delivery_of(job: Job) -> Delivery | None:
    """How its latest end is, or was, told; None before that, and after 30 days."""
    rows = Delivery.objects.select_related("endpoint", "message").filter(subject_id=job.pk)
    latest: Delivery | None = rows.order_by("-id").first()
    return latest
