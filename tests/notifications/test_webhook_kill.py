"""Real workers, killed by their pid at the two moments that could lose a message or send it unknown to anybody.

The database holds a worker at such a moment: what it wants to write is locked, and pg_locks tells that it waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from subprocess import Popen

import psycopg
import pytest
from django.db.models import F

from apps.console.sample.client import wait_until
from apps.notifications.models import Delivery, DeliveryAttempt, WebhookEndpoint
from apps.notifications.webhooks import doorbell, sending
from apps.notifications.webhooks.outbox import enqueue
from tests import database
from tests.isolation import DATABASE
from tests.notifications.webhooks import EVENT, only_delivery, worker
from tests.stand_ins.receiver import Receiver, answering

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

WAITING = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = %s"


@pytest.fixture
def blocker() -> Iterator[psycopg.Connection]:
    """Whoever holds what the worker wants, until it rolls back."""
    with database.admin(DATABASE) as connection:
        connection.autocommit = False
        yield connection
        connection.rollback()


def kill_while_it_waits(victim: Popen[bytes], blocker: psycopg.Connection) -> None:
    with database.admin(DATABASE) as watcher:
        wait_until(
            lambda: watcher.execute(WAITING, [DATABASE]).fetchone() == (1,), seconds=60, reason="No worker waits"
        )
    victim.kill()
    victim.wait()
    blocker.rollback()


def end_lease() -> None:
    """Move the clock behind the lease that the dead worker left."""
    moved = Delivery.objects.update(lease_until=F("lease_until") - timedelta(seconds=sending.LEASE_S))
    assert moved == 1


def sent_by_another_worker() -> Delivery:
    with worker():
        doorbell.ring()
        wait_until(lambda: not only_delivery().is_open, seconds=60, reason="The delivery does not end")
    return only_delivery()


def outcomes() -> list[str]:
    return [row.outcome for row in DeliveryAttempt.objects.select_related("delivery").order_by("number")]


def test_p4_a_worker_killed_between_the_answer_and_noting_it_is_followed_by_one_that_sends_the_same_id(
    endpoint: WebhookEndpoint, far_end: Receiver, blocker: psycopg.Connection
) -> None:
    def answer_and_hold(handler: BaseHTTPRequestHandler) -> None:
        blocker.execute("SELECT 1 FROM notifications_delivery FOR UPDATE")
        answering(200, b"thanks")(handler)

    far_end.answer = answer_and_hold
    with worker() as victim:
        enqueue(EVENT, {"n": 1})
        kill_while_it_waits(victim, blocker)
    assert len(far_end.received) == 1
    assert (only_delivery().status, outcomes()) == ("pending", ["running"])
    far_end.answer = answering(200, b"thanks")
    end_lease()
    delivery = sent_by_another_worker()
    assert (delivery.status, delivery.attempt, outcomes()) == ("succeeded", 2, ["lost", "succeeded"])
    assert far_end.ids() == [delivery.message.webhook_id] * 2
    assert len({one.body for one in far_end.received}) == 1


def test_p4_a_worker_killed_between_its_lease_and_sending_is_followed_by_one_that_sends(
    endpoint: WebhookEndpoint, far_end: Receiver, blocker: psycopg.Connection
) -> None:
    blocker.execute("LOCK TABLE notifications_deliveryattempt IN EXCLUSIVE MODE")
    with worker() as victim:
        enqueue(EVENT, {"n": 1})
        kill_while_it_waits(victim, blocker)
    leased = only_delivery()
    assert (leased.status, leased.attempt, outcomes()) == ("pending", 1, [])
    assert leased.lease_until is not None
    assert far_end.received == []
    end_lease()
    assert sent_by_another_worker().status == "succeeded"
    assert far_end.ids() == [only_delivery().message.webhook_id]
