"""Many deliveries, several dispatchers, and endpoints that hold each as long as they can."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from apps.console.sample.client import wait_until
from apps.core import tenancy
from apps.core.actors import SYSTEM
from apps.core.outbound import client as outbound
from apps.notifications.models import Delivery, DeliveryAttempt
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import dispatch, sending
from apps.notifications.webhooks.outbox import enqueue
from apps.organizations.services import create_organization
from tests.factories.people import UserFactory
from tests.notifications.webhooks import EVENT
from tests.stand_ins.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def patient(loopback_is_called: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here ends because the machine is slow."""
    monkeypatch.setattr(sending, "LIMITS", outbound.Limits(connect_s=30, read_s=30, total_s=30, max_bytes=2000))


@pytest.fixture
def organizations() -> list[Any]:
    founder = UserFactory(email="founder@example.test")
    return [create_organization(f"Tenant {number}", founder) for number in range(4)]


def add_endpoints(organization: Any, urls: list[str]) -> None:
    with tenancy.scope(organization.pk):
        for url in urls:
            services.create_endpoint(url, by=SYSTEM)


def tell(organization: Any, times: int) -> None:
    with tenancy.scope(organization.pk):
        for number in range(times):
            enqueue(EVENT, {"n": number})


@contextmanager
def dispatchers(count: int) -> Iterator[list[threading.Thread]]:
    """That many dispatchers at work; the block's end waits for theirs."""

    def work() -> None:
        dispatch._dispatch()
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.join()


def test_p10_two_dispatchers_send_each_of_200_deliveries_to_20_endpoints_once(
    organizations: list[Any], far_end: Receiver
) -> None:
    for organization in organizations:
        add_endpoints(organization, [f"{far_end.url}/{organization.slug}/{number}" for number in range(5)])
        tell(organization, 10)
    with dispatchers(2):
        pass
    sent = Counter((one.path, one.headers["webhook-id"]) for one in far_end.received)
    assert len(sent) == 200
    assert set(sent.values()) == {1}
    for organization in organizations:
        with tenancy.scope(organization.pk):
            assert Counter(Delivery.objects.values_list("status", "attempt")) == {("succeeded", 1): 50}


def running(organization: Any) -> int:
    with tenancy.scope(organization.pk):
        return DeliveryAttempt.objects.filter(finished_at__isnull=True).count()


def test_p7_deliveries_of_others_arrive_while_an_organizations_endpoints_hold_all_that_it_may_send(
    organizations: list[Any], far_end: Receiver, other_end: Receiver
) -> None:
    far_end.answer = far_end.silent
    dead, *healthy = organizations
    add_endpoints(dead, [f"{far_end.url}/{number}" for number in range(10)])
    tell(dead, 5)
    with dispatchers(2):
        try:
            wait_until(lambda: len(far_end.received) == 4, seconds=30, reason="The dead endpoints are not called")
            for organization in healthy:
                add_endpoints(organization, [f"{other_end.url}/{organization.slug}"])
                tell(organization, 10)
            wait_until(lambda: len(other_end.received) == 30, seconds=30, reason="The others' deliveries do not arrive")
            assert (len(far_end.received), running(dead)) == (4, 4), "none of these calls has ended"
        finally:
            far_end.released.set()
    assert len(other_end.received) == 30


def test_a_ring_while_a_dispatcher_looks_for_the_last_time_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look() -> int:
        looks.append("look")
        if len(looks) == 1:
            assert dispatch.dispatch() == 0, "somebody else has the turn"
        return 0

    monkeypatch.setattr(dispatch, "_dispatch", look)
    dispatch.dispatch()
    assert len(looks) == 2
