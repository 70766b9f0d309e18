"""What people can do with webhook endpoints and their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypedDict, Unpack

from django.db import transaction

from apps.audit import services as audit
from apps.core import live
from apps.core.actors import SYSTEM, Actor
from apps.core.changes import apply_changes
from apps.core.ids import uuid7
from apps.core.outbound import client as outbound
from apps.core.postgres.batches import delete_in_batches
from apps.core.tenancy import current_tenant_id
from apps.notifications import catalogue
from apps.notifications.models import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookMessage
from apps.notifications.services.notify import notify
from apps.notifications.webhooks import clock, doorbell, errors, outbox, schedule, secrets, signing
from apps.notifications.webhooks.enums import OPEN, DeliveryStatus
from apps.organizations import queries as organizations

ENDPOINT_LIMIT = 20
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
KEPT_FOR = timedelta(days=30)
TEST_EVENT = "webhook.test"
GONE = "It answered 410 Gone"


class EndpointChanges(TypedDict, total=False):
    url: str
    description: str
    events: Sequence[str]


@transaction.atomic
def create_endpoint(url: str, *, by: Actor, description: str = "", events: Sequence[str] = ()) -> WebhookEndpoint:
    """A new address that is told of `events`, or of all. Raises `TooManyEndpoints`, `UnknownEvent`, `InvalidUrl`,
    `AddressRefused`.
    """
    organizations.locked_organization()
    if WebhookEndpoint.objects.filter(for_callbacks=False).count() >= ENDPOINT_LIMIT:
        raise errors.TooManyEndpoints(limit=ENDPOINT_LIMIT)
    row = _with_new_secret(url=_checked_url(url), events=_checked_events(events), description=description)
    audit.record(by, "webhook.created", row, {"url": row.url, "events": row.events})
    return row


@transaction.atomic
def callback_endpoint(*, by: Actor) -> WebhookEndpoint:
    """The endpoint whose secret signs the organization's callbacks, made when somebody first asks for one."""
    rows = WebhookEndpoint.objects.filter(for_callbacks=True)
    if found := rows.first():
        return found
    organizations.locked_organization()
    if found := rows.first():
        return found
    row = _with_new_secret(for_callbacks=True, description="Ends of jobs, posted where each job says")
    audit.record(by, "webhook.created", row)
    return row


def _with_new_secret(**columns: Any) -> WebhookEndpoint:
    row = WebhookEndpoint(id=uuid7(), organization_id=current_tenant_id(), **columns)
    row.sealed_secret = secrets.sealed(row, signing.new_secret())
    row.save()
    return row


@transaction.atomic
def update_endpoint(endpoint: WebhookEndpoint, *, by: Actor, **wanted: Unpack[EndpointChanges]) -> WebhookEndpoint:
    """Change where events go, or which. What is under way goes to the new address at its next attempt.

    Raises `CallbackEndpointFixed`.
    """
    _require_own_address(endpoint)
    endpoint = _locked(endpoint)
    if "url" in wanted:
        wanted["url"] = _checked_url(wanted["url"])
    if "events" in wanted:
        wanted["events"] = _checked_events(wanted["events"])
    if changes := apply_changes(endpoint, wanted):
        endpoint.save(update_fields=list(changes))
        audit.record(by, "webhook.updated", endpoint, changes)
    return endpoint


@transaction.atomic
def delete_endpoint(endpoint: WebhookEndpoint, *, by: Actor) -> None:
    """Take the endpoint away, with its deliveries. One that is being sent now may still arrive.

    Raises `CallbackEndpointFixed`.
    """
    _require_own_address(endpoint)
    audit.record(by, "webhook.deleted", endpoint, {"url": endpoint.url})
    endpoint.delete()


@transaction.atomic
def rotate_secret(endpoint: WebhookEndpoint, *, by: Actor, overlap: timedelta = OVERLAP) -> WebhookEndpoint:
    """A new signing secret; until `overlap` is over everything is signed with the one before, too."""
    endpoint = _locked(endpoint)
    endpoint.sealed_previous_secret = endpoint.sealed_secret if overlap else None
    endpoint.previous_expires_at = clock.now() + overlap if overlap else None
    endpoint.sealed_secret = secrets.sealed(endpoint, signing.new_secret())
    endpoint.save(update_fields=["sealed_secret", "sealed_previous_secret", "previous_expires_at"])
    audit.record(by, "webhook.rotated", endpoint, {"overlap_hours": overlap // timedelta(hours=1)})
    return endpoint


@transaction.atomic
def reveal_secret(endpoint: WebhookEndpoint, *, by: Actor) -> str:
    """The signing secret, and a line in the trail that it was shown. Raises `SecretUnreadable`."""
    secret = secrets.secret_of(endpoint)
    audit.record(by, "webhook.secret_shown", endpoint)
    return secret


@transaction.atomic
def disable_endpoint(endpoint: WebhookEndpoint, *, by: Actor, because: str = "") -> WebhookEndpoint:
    """Send nothing more to it. What was still to be sent is cancelled, and can be sent again by hand."""
    endpoint = _locked(endpoint)
    if endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_because = clock.now(), because or f"Disabled by {by.label}"[:200]
        endpoint.save(update_fields=["disabled_at", "disabled_because"])
        waiting = endpoint.deliveries.filter(status__in=OPEN)
        waiting.update(status=DeliveryStatus.CANCELLED, finished_at=endpoint.disabled_at, lease_until=None)
        audit.record(by, "webhook.disabled", endpoint, {"because": endpoint.disabled_because})
        live.publish(f"webhook:{endpoint.pk}")
    return endpoint


@transaction.atomic
def enable_endpoint(endpoint: WebhookEndpoint, *, by: Actor) -> WebhookEndpoint:
    """Send events to it again, from now on."""
    endpoint = _locked(endpoint)
    if endpoint.disabled_at is not None:
        endpoint.disabled_at, endpoint.disabled_because = None, ""
        endpoint.save(update_fields=["disabled_at", "disabled_because"])
        audit.record(by, "webhook.enabled", endpoint)
        live.publish(f"webhook:{endpoint.pk}")
    return endpoint


@transaction.atomic
def send_test(endpoint: WebhookEndpoint, *, by: Actor) -> Delivery:
    """Send an event that means nothing, whatever the endpoint is told of.

    Raises `EndpointDisabled`, `CallbackEndpointFixed`.
    """
    _require_own_address(endpoint)
    _require_enabled(endpoint)
    delivery = outbox.send_to(endpoint, TEST_EVENT, {"endpoint": str(endpoint.pk), "sent_by": by.label})
    audit.record(by, "webhook.tested", endpoint)
    live.publish(f"webhook:{endpoint.pk}")
    return delivery


@transaction.atomic
def resend(delivery: Delivery, *, by: Actor) -> Delivery:
    """Send a delivery once more, now, with the same id and a new schedule of retries.

    Raises `EndpointDisabled`, `DeliveryBeingSent`.
    """
    delivery = (
        Delivery.objects.select_related("endpoint", "message").select_for_update(of=("self",)).get(pk=delivery.pk)
    )
    _require_enabled(delivery.endpoint)
    now = clock.now()
    if delivery.is_open and delivery.lease_until and delivery.lease_until > now:
        raise errors.DeliveryBeingSent
    delivery.status, delivery.failures, delivery.finished_at = DeliveryStatus.PENDING, 0, None
    delivery.began_at = delivery.next_attempt_at = now
    delivery.lease_until = None
    delivery.save()
    audit.record(by, "webhook.resent", delivery)
    doorbell.ring_on_commit()
    live.publish(f"delivery:{delivery.pk}")
    live.publish(f"webhook:{delivery.endpoint_id}")
    return delivery


def disable_gone(endpoint: WebhookEndpoint) -> None:
    """The endpoint said that it is gone for good: disable it, and tell those who manage webhooks."""
    disable_endpoint(endpoint, by=SYSTEM, because=GONE)
    notify("webhook.disabled", endpoint, {"url": endpoint.url, "reason": GONE})


def tell_given_up(delivery: Delivery) -> None:
    """Nobody took it for as long as we try: tell those who manage webhooks, but not of such a message itself."""
    if delivery.message.event.startswith("webhook."):
        return
    hours = schedule.GIVES_UP_AFTER // timedelta(hours=1)
    reason = f"{delivery.message.event} was not taken in {hours} hours and is not tried any more"
    notify("webhook.failed", delivery.endpoint, {"url": delivery.address, "reason": reason})


def send_waiting() -> None:
    """Send now whatever waits, of an organization that goes on."""
    Delivery.objects.filter(status__in=OPEN, lease_until__isnull=True).update(next_attempt_at=clock.now())
    doorbell.ring_on_commit()


def forget_old() -> None:
    """Delete the current tenant's attempts that are older than 30 days, and messages that nothing is left to do for."""
    before = clock.now() - KEPT_FOR
    delete_in_batches(DeliveryAttempt.objects.filter(created_at__lt=before))
    waiting = Delivery.objects.filter(status__in=OPEN).values("message_id")
    delete_in_batches(WebhookMessage.objects.filter(created_at__lt=before).exclude(pk__in=waiting))


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    row: WebhookEndpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    return row


def _require_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.disabled_at is not None:
        raise errors.EndpointDisabled


def _require_own_address(endpoint: WebhookEndpoint) -> None:
    if endpoint.for_callbacks:
        raise errors.CallbackEndpointFixed


def _checked_url(url: str) -> str:
    return str(outbound.parsed(url.strip()))


def _checked_events(events: Sequence[str]) -> list[str]:
    return sorted({catalogue.get(event).name for event in events})
