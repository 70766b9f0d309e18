"""What docs/webhooks.md shows, run as it stands there, and our signature as others check it."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from apps.core.actors import Actor
from apps.notifications.models import WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks.outbox import enqueue
from tests.notifications.webhooks import EVENT, dispatched
from tests.stand_ins.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"


def code(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


def test_the_worked_example_runs_as_it_is_written(live_server: Any, api_owner: Any, in_acme: Any) -> None:
    environment = {"PATH": os.environ["PATH"], "MODELYARD": live_server.url, "TOKEN": api_owner.token}
    script = f"set -euo pipefail\n{code('bash')}"
    done = subprocess.run(
        ["bash", "-c", script], check=False, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"whsec_') == 2
    assert '"event":"webhook.test"' in done.stdout
    assert '"disabled_because":"Disabled by' in done.stdout
    assert not WebhookEndpoint.objects.exists()


@pytest.fixture
def received(endpoint: WebhookEndpoint, far_end: Receiver) -> Any:
    enqueue(EVENT, {"name": "Train äpfel"})
    dispatched()
    return far_end.received[0]


def test_the_reference_library_verifies_our_signature(endpoint: WebhookEndpoint, actor: Actor, received: Any) -> None:
    secret = services.reveal_secret(endpoint, by=actor)
    assert Webhook(secret).verify(received.body, received.headers)["data"]["name"] == "Train äpfel"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(received.body + b" ", received.headers)


def test_the_reference_library_verifies_with_either_secret_while_a_rotation_overlaps(
    endpoint: WebhookEndpoint, far_end: Receiver, actor: Actor
) -> None:
    old = services.reveal_secret(endpoint, by=actor)
    new = services.reveal_secret(services.rotate_secret(endpoint, by=actor, overlap=timedelta(hours=1)), by=actor)
    enqueue(EVENT, {})
    dispatched()
    (message,) = far_end.received
    for secret in (old, new):
        assert Webhook(secret).verify(message.body, message.headers)["type"] == EVENT


def test_the_check_by_hand_agrees(endpoint: WebhookEndpoint, actor: Actor, received: Any) -> None:
    example: dict[str, Any] = {}
    exec(code("python"), example)  # noqa: S102 - it is our own page
    secret = services.reveal_secret(endpoint, by=actor)
    example["verify"](secret, received.headers, received.body)
    with pytest.raises(ValueError, match="not ours"):
        example["verify"](secret, received.headers, received.body + b" ")
    with pytest.raises(ValueError, match="too old"):
        example["verify"](secret, {**received.headers, "webhook-timestamp": "1700000000"}, received.body)
