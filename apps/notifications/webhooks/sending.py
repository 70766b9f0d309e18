"""One attempt of a delivery: claimed before, written down before it is sent, and its outcome fenced by its number."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from apps.core import live, tenancy
from apps.core.errors import DomainError
from apps.core.outbound import client as outbound
from apps.notifications.models import Delivery, DeliveryAttempt
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import clock, schedule, secrets, signing
from apps.notifications.webhooks.claiming import Claim
from apps.notifications.webhooks.enums import DeliveryStatus
from apps.notifications.webhooks.errors import SecretUnreadable
from apps.organizations import queries as organizations
from apps.organizations.models import Organization

LIMITS = outbound.Limits(connect_s=5, read_s=10, total_s=15, max_bytes=64_000)
# Longer than an exchange may take, so that only the death of its process ends a lease.
LEASE_S = 45.0
KEPT_CHARS = 8_000
KEPT_HEADERS = 40
KEPT_HEADER_CHARS = 500
GONE = 410
EXPIRED = "It expired: the organization was suspended or closed until its 72 hours were over."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back: an answer, or in `error` why there was none."""

    duration_ms: int
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    error: str = ""

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def execute(claim: Claim) -> None:
    """Send what was claimed. A process that dies between sending and noting it leaves it to be sent again."""
    with tenancy.scope(claim.organization_id):
        if attempt := begin(claim):
            outcome = send(attempt, attempt.delivery.message.body.encode())
            finish(claim, attempt, outcome)


@transaction.atomic
def begin(claim: Claim) -> DeliveryAttempt | None:
    """Write down what is about to be sent; None when it is no longer this claim's to send, or cannot be sent now."""
    may_send = _may_send()
    delivery = _held(claim)
    if delivery is None or not delivery.is_open or delivery.lease_until is None:
        return None
    if not may_send:
        _wait(delivery)
        return None
    try:
        headers = _signed(delivery)
    except SecretUnreadable as refusal:
        _give_up_unsent(delivery, refusal.message)
        return None
    return _attempt(delivery, request_headers=headers)


def _may_send() -> bool:
    """Whether the organization is active. One that is not is locked, so that nobody lets it go on meanwhile."""
    organization = Organization.objects.get(pk=tenancy.current_tenant_id())
    return organization.is_active or organizations.locked_organization().is_active


def _held(claim: Claim) -> Delivery | None:
    """The claimed delivery, locked, unless a later attempt took its place."""
    rows = Delivery.objects.select_related("message", "endpoint").select_for_update(of=("self",))
    found: Delivery | None = rows.filter(pk=claim.delivery_id, attempt=claim.attempt).first()
    return found


def _signed(delivery: Delivery) -> dict[str, str]:
    now, message = clock.now(), delivery.message
    keys = secrets.secrets_of(delivery.endpoint, now)
    return signing.headers(message.webhook_id, int(now.timestamp()), message.body.encode(), keys)


def _attempt(delivery: Delivery, **told: Any) -> DeliveryAttempt:
    row = DeliveryAttempt(delivery=delivery, number=delivery.attempt, url=delivery.address, **told)
    row.started_at = clock.now()
    row.save()
    return row


def _wait(delivery: Delivery) -> None:
    """Put it aside until its organization goes on, or its time is over; no attempt was made."""
    ends_at = schedule.end_of(delivery.began_at)
    if clock.now() >= ends_at:
        _give_up_unsent(delivery, EXPIRED)
        return
    delivery.lease_until, delivery.next_attempt_at = None, ends_at
    delivery.attempt -= 1
    delivery.save()
    _publish(delivery)


def _give_up_unsent(delivery: Delivery, reason: str) -> None:
    _attempt(delivery, error=reason, finished_at=clock.now())
    end(delivery, DeliveryStatus.FAILED)


def send(attempt: DeliveryAttempt, body: bytes) -> Outcome:
    started = time.monotonic()
    try:
        answer = outbound.request("POST", attempt.url, headers=attempt.request_headers, body=body, limits=LIMITS)
    except DomainError as refusal:
        return Outcome(_ms_since(started), error=refusal.message[:300])
    return Outcome(_ms_since(started), answer.status, _kept_headers(answer.headers), _kept_text(answer.body))


@transaction.atomic
def finish(claim: Claim, attempt: DeliveryAttempt, outcome: Outcome) -> None:
    """Note what came back, and what follows from it unless a later attempt took this one's place."""
    now = clock.now()
    DeliveryAttempt.objects.filter(pk=attempt.pk).update(
        finished_at=now,
        duration_ms=outcome.duration_ms,
        response_status=outcome.status,
        response_headers=dict(outcome.headers),
        response_body=outcome.body,
        error=outcome.error,
    )
    delivery = _held(claim)
    if delivery is not None and delivery.is_open:
        _conclude(delivery, outcome)


def _conclude(delivery: Delivery, outcome: Outcome) -> None:
    delivery.lease_until = None
    if outcome.is_success:
        end(delivery, DeliveryStatus.SUCCEEDED)
    elif outcome.status == GONE:
        end(delivery, DeliveryStatus.FAILED)
        # That one address of a callback is gone says nothing of the others.
        if not delivery.endpoint.for_callbacks:
            services.disable_gone(delivery.endpoint)
    else:
        _try_later(delivery)


def _try_later(delivery: Delivery) -> None:
    delivery.failures += 1
    next_attempt_at = schedule.next_attempt(delivery.failures, delivery.began_at, clock.now())
    if next_attempt_at is None:
        end(delivery, DeliveryStatus.FAILED)
        services.tell_given_up(delivery)
        return
    delivery.status, delivery.next_attempt_at = DeliveryStatus.RETRYING, next_attempt_at
    delivery.save()
    _publish(delivery)


def end(delivery: Delivery, status: DeliveryStatus) -> None:
    delivery.status, delivery.finished_at, delivery.lease_until = status, clock.now(), None
    delivery.save()
    _publish(delivery)


def _publish(delivery: Delivery) -> None:
    live.publish(f"delivery:{delivery.pk}")
    live.publish(f"webhook:{delivery.endpoint_id}")


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    first = list(headers.items())[:KEPT_HEADERS]
    return {_kept_text(name.encode()): _kept_text(value.encode())[:KEPT_HEADER_CHARS] for name, value in first}


def _kept_text(content: bytes) -> str:
    # PostgreSQL text cannot hold NUL, and what answers may be anything.
    return content.decode(errors="replace").replace("\x00", "\ufffd")[:KEPT_CHARS]
