"""Limits of model calls: of a key by itself, and of everybody's by the organization's policies."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.core.actors import Actor
from apps.gateway import services
from apps.gateway.snapshot import key_policies
from apps.ratelimits.snapshot import compile_section
from tests.edge.plane import Plane, Reply, made_plane
from tests.gateway.plane import add_route, add_upstream, target
from tests.replica.models import ModelFiles
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider
from tests.stand_ins.provider_answers import HELLO, Saying

ASK = [{"role": "user", "content": "Say good morning"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider.running() as started:
        yield started


@pytest.fixture
def plane(tmp_path: Path, running: Provider) -> Iterator[Plane]:
    running.forget()
    for made in made_plane(tmp_path, ModelFiles(tmp_path, tmp_path)):
        made.token = made.acme.token("gateway.call")
        add_route(made.acme, "chat", target(add_upstream(made.acme, f"{running.url}/v1")))
        yield made


def policy(name: str, quantity: str, limit: int, **more: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "subject": ["token"],
        "header": "",
        "quantity": quantity,
        "algorithm": "gcra",
        "limit": limit,
        "window_ms": 3_600_000,
        "burst": limit,
        "is_shadow": False,
        "away": "local",
        "planes": ["gateway"],
        "routes": [],
        "models": [],
        **more,
    }


def limited(plane: Plane, *policies: dict[str, Any]) -> None:
    plane.acme.limits = {"policies": list(policies), "allow": [], "deny": []}
    plane.acme.publish()
    plane.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")


def ask(plane: Plane, token: Any = None, **body: Any) -> Reply:
    headers = {"authorization": f"Bearer {token or plane.token}"}
    return plane.edge.call("POST", "/v1/chat/completions", {"model": "chat", "messages": ASK, **body}, headers)


def test_a_keys_own_limit_refuses_it_by_its_name_and_no_other_key(plane: Plane) -> None:
    other = plane.acme.token("gateway.call")
    limited(plane, policy("Key ci", "requests", 2, tokens=[plane.token.token_id]))
    assert [ask(plane).status for _ in range(3)] == [200, 200, 429]
    refused = ask(plane)
    assert refused.json["error"]["type"] == "rate_limit_error"
    assert "Key ci" in refused.json["error"]["message"]
    assert int(refused.headers["retry-after"]) > 0
    assert [ask(plane, other).status for _ in range(4)] == [200] * 4


def test_a_limit_of_predictions_is_none_of_model_calls(plane: Plane) -> None:
    limited(plane, policy("Predictions", "requests", 1, planes=["predictions"]))
    assert [ask(plane).status for _ in range(3)] == [200] * 3


def test_a_limit_may_be_of_one_model(plane: Plane) -> None:
    limited(plane, policy("Of chat", "requests", 1, models=["chat"]), policy("Of others", "requests", 1, models=["x"]))
    assert [ask(plane).status for _ in range(2)] == [200, 429]


def test_tokens_are_held_as_expected_and_counted_as_told(plane: Plane, running: Provider) -> None:
    """A call is expected to take its `max_tokens`, and gives back what it did not take."""
    used = HELLO.input + HELLO.cached + HELLO.output
    limited(plane, policy("Tokens", "tokens", 1_000))
    assert ask(plane, max_tokens=900).status == 200
    assert ask(plane, max_tokens=900 - used).status == 200
    refused = ask(plane, max_tokens=990)
    assert refused.status == 429, refused.body
    assert "Tokens" in refused.json["error"]["message"]


def test_many_calls_at_once_do_not_pass_a_limit_of_tokens(plane: Plane, running: Provider) -> None:
    running.answer = provider.saying(Saying(input=20, cached=0, output=80), pause_s=0.05)
    limited(plane, policy("Tokens", "tokens", 1_000))
    with ThreadPoolExecutor(50) as pool:
        found = Counter(reply.status for reply in pool.map(lambda _: ask(plane, max_tokens=80), range(50)))
    assert set(found) == {200, 429}
    assert 8 <= found[200] <= 10, found


def test_a_spend_limit_counts_what_calls_cost(plane: Plane, running: Provider) -> None:
    """At $1 and $2 a million tokens of input and output (tests.gateway.plane.PRICE), in micro-USD."""
    running.answer = provider.saying(Saying(input=100, cached=0, output=200))
    limited(plane, policy("Dollars", "cost", 1_200))
    assert [ask(plane, max_tokens=200).status for _ in range(3)] == [200, 200, 429]


@pytest.mark.django_db
def test_a_keys_limits_are_compiled_until_it_is_revoked(in_acme: Any, actor: Actor) -> None:
    services.create_key("free", by=actor)
    key, _ = services.create_key("ci", requests_per_minute=60, tokens_per_minute=90_000, by=actor)
    compiled = [one for one in compile_section()["policies"] if one["name"] == "Key ci"]
    told = [(one["quantity"], one["limit"], one["window_ms"], one["tokens"]) for one in compiled]
    assert told == [("requests", 60, 60_000, [str(key.token_id)]), ("tokens", 90_000, 60_000, [str(key.token_id)])]
    services.update_key(key, tokens_per_minute=None, by=actor)
    assert [one["quantity"] for one in key_policies()] == ["requests"]
    services.delete_key(key, by=actor)
    assert list(key_policies()) == []
