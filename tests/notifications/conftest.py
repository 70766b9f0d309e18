"""Receivers of webhooks at the far end of a socket, and a clock that can be moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from apps.core.actors import Actor
from apps.core.outbound import client as outbound
from apps.notifications.models import WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import clock, sending
from tests.conftest import actor_of
from tests.core.web_server import WebServer
from tests.stand_ins import receiver
from tests.stand_ins.receiver import Receiver

QUICK = outbound.Limits(connect_s=2, read_s=0.3, total_s=0.6, max_bytes=2000)


@pytest.fixture
def loopback_is_called(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    monkeypatch.setattr(sending, "LIMITS", QUICK)


@pytest.fixture
def far_end(loopback_is_called: None) -> Iterator[Receiver]:
    with receiver.running() as running:
        yield running


@pytest.fixture
def other_end(loopback_is_called: None) -> Iterator[Receiver]:
    with receiver.running() as running:
        yield running


@pytest.fixture
def endpoint(in_acme: Any, actor: Actor, far_end: Receiver) -> WebhookEndpoint:
    return services.create_endpoint(far_end.url, by=actor)


@pytest.fixture
def owner_of_globex(outsider: Any) -> Actor:
    return actor_of(outsider, "owner")


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    def passed(span: timedelta) -> None:
        monkeypatch.setattr(clock, "ahead", clock.ahead + span)

    return passed


@pytest.fixture
def by_hand(in_acme: Any, actor: Actor) -> WebhookEndpoint:
    return services.create_endpoint("https://hooks.example.com/a", by=actor)


@pytest.fixture
def url() -> Iterator[str]:
    server = WebServer()
    yield server.url
    server.stop()
