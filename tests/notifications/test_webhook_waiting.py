"""Deliveries that cannot be sent: of an organization that is suspended, or signed with a secret nobody can read."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from apps.core import tenancy
from apps.core.actors import Actor
from apps.notifications.models import Delivery, DeliveryAttempt, WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import errors, schedule
from apps.notifications.webhooks.outbox import enqueue
from apps.organizations import services as organizations
from tests.notifications.webhooks import EVENT, dispatched, only_delivery
from tests.stand_ins.receiver import Receiver, answering

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator() -> Actor:
    return Actor("operator", None, "operator@modelyard.test")


@pytest.fixture
def suspended(endpoint: WebhookEndpoint, acme: Any, operator: Actor) -> Any:
    return organizations.suspend_organization(acme, "Unpaid bills", by=operator)


def test_a_suspended_organizations_deliveries_wait_and_go_on_when_it_is_resumed(
    suspended: Any, far_end: Receiver, operator: Actor, pass_time: Any
) -> None:
    enqueue(EVENT, {})
    dispatched()
    pass_time(timedelta(hours=5))
    assert dispatched() == 0, "it is put aside, and nobody looks at it again"
    waiting = only_delivery()
    assert (waiting.status, waiting.attempt, waiting.failures) == ("pending", 0, 0)
    assert far_end.received == []
    organizations.resume_organization(suspended, by=operator)
    dispatched()
    assert len(far_end.received) == 1
    assert (only_delivery().status, only_delivery().attempt) == ("succeeded", 1)


def test_what_was_being_retried_when_the_organization_was_suspended_counts_no_failure_meanwhile(
    endpoint: WebhookEndpoint, far_end: Receiver, acme: Any, operator: Actor, pass_time: Any
) -> None:
    far_end.answer = answering(500)
    enqueue(EVENT, {})
    dispatched()
    organizations.suspend_organization(acme, "Unpaid bills", by=operator)
    for _ in range(3):
        pass_time(timedelta(hours=1))
        dispatched()
    assert (only_delivery().status, only_delivery().failures) == ("retrying", 1)
    far_end.answer = answering(204)
    organizations.resume_organization(acme, by=operator)
    dispatched()
    assert only_delivery().status == "succeeded"
    assert len(set(far_end.ids())) == 1


def test_what_waited_for_72_hours_has_expired_and_says_so(
    suspended: Any, far_end: Receiver, operator: Actor, pass_time: Any
) -> None:
    enqueue(EVENT, {})
    dispatched()
    pass_time(schedule.GIVES_UP_AFTER)
    dispatched()
    assert only_delivery().status == "failed"
    assert "expired" in DeliveryAttempt.objects.get().error
    organizations.resume_organization(suspended, by=operator)
    dispatched()
    assert far_end.received == []


def test_a_closed_organizations_deliveries_wait_until_it_is_reopened(
    endpoint: WebhookEndpoint, far_end: Receiver, acme: Any, owner: Any, actor: Actor
) -> None:
    closed = organizations.request_deletion(acme, "Acme", by=actor)
    enqueue(EVENT, {})
    dispatched()
    assert (only_delivery().status, only_delivery().attempt, far_end.received) == ("pending", 0, [])
    organizations.cancel_deletion(closed, by=actor)
    dispatched()
    assert only_delivery().status == "succeeded"


def test_another_organizations_deliveries_are_sent_while_one_is_suspended(
    suspended: Any, other_end: Receiver, globex: Any, owner_of_globex: Actor
) -> None:
    enqueue(EVENT, {})
    with tenancy.scope(globex.pk):
        services.create_endpoint(other_end.url, by=owner_of_globex)
        enqueue(EVENT, {})
    dispatched()
    assert len(other_end.received) == 1


@pytest.fixture
def unreadable(endpoint: WebhookEndpoint, settings: Any) -> WebhookEndpoint:
    settings.SECRET_KEY = "another secret, of which nobody knows"
    return endpoint


def test_a_secret_under_another_key_ends_the_delivery_at_once_and_says_why(
    unreadable: WebhookEndpoint, far_end: Receiver
) -> None:
    enqueue(EVENT, {})
    dispatched()
    assert only_delivery().status == "failed"
    assert DeliveryAttempt.objects.get().error == errors.SecretUnreadable().message
    assert far_end.received == []
    assert dispatched() == 0


def test_after_a_rotation_the_endpoint_is_signed_for_again_with_the_new_secret_alone(
    unreadable: WebhookEndpoint, far_end: Receiver, actor: Actor
) -> None:
    services.rotate_secret(unreadable, by=actor)
    enqueue(EVENT, {})
    dispatched()
    (received,) = far_end.received
    assert len(received.headers["webhook-signature"].split(" ")) == 1
    assert only_delivery().status == "succeeded"


def test_a_secret_that_cannot_be_read_is_not_shown_and_the_page_asks_to_rotate(
    endpoint: WebhookEndpoint, as_owner: Client, api_owner: Any, settings: Any
) -> None:
    page = f"/o/acme/notifications/webhooks/{endpoint.pk}/"
    assert "Rotate it" not in as_owner.get(page).content.decode()
    WebhookEndpoint.objects.update(sealed_secret=b"sealed by another installation")
    assert "Rotate it" in as_owner.get(page).content.decode()
    assert as_owner.post(f"{page}secret/").status_code == 409
    refusal = api_owner.post(f"/api/v1/webhooks/{endpoint.pk}/secret/")
    assert (refusal.status_code, refusal.json()["code"]) == (409, "webhook_secret_unreadable")


def test_two_who_create_the_last_endpoint_at_once_create_one(
    acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "ENDPOINT_LIMIT", 3)
    barrier, refused = threading.Barrier(8), []

    def create() -> None:
        with tenancy.scope(acme.pk):
            barrier.wait()
            try:
                services.create_endpoint("https://example.com/hook", by=actor)
            except errors.TooManyEndpoints as refusal:
                refused.append(refusal)
        connections.close_all()

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tenancy.scope(acme.pk):
        assert WebhookEndpoint.objects.count() == 3
        assert not Delivery.objects.exists()
    assert len(refused) == 5
