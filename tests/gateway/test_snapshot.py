"""The gateway's section as the data plane gets it: by what the data plane itself reads it with."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import sealing
from apps.core.actors import Actor
from apps.gateway import services
from apps.gateway.configuration import compiled
from apps.gateway.models import Upstream
from apps.gateway.snapshot import compile_section
from tests.gateway.conftest import SECRET

pytestmark = pytest.mark.django_db


def test_it_says_what_people_set(upstream: Upstream, actor: Actor) -> None:
    services.update_upstream(upstream, most_at_once=4, health_path="/models", health_interval_s=9, by=actor)
    targets = [
        {"upstream": upstream, "model": "gpt-4o-mini", "weight": 3},
        {"upstream": upstream, "model": "gpt-4o", "tier": 1, "on": ["timeout"], "when": {"min_tokens": 5}},
    ]
    route = services.create_route(name="chat", strategy="fastest", hedge_after_ms=200, targets=targets, by=actor)
    key, _ = services.create_key("program", routes=[route.pk], tags={"team": "search"}, by=actor)
    gateway = compiled(str(upstream.organization_id), json.loads(json.dumps(compile_section())))
    first, second = gateway.routes["chat"].targets
    assert (first.model, first.weight, first.tier) == ("gpt-4o-mini", 3, 0)
    assert (second.on, second.when) == (frozenset({"timeout"}), {"min_tokens": 5})
    assert first.upstream is second.upstream
    assert first.upstream is not None
    assert (first.upstream.most_at_once, first.upstream.health_path, first.upstream.health_interval_s) == (
        *(4, "/models"),
        9,
    )
    assert first.upstream.place == upstream.sealing_place
    assert first.prices
    assert gateway.routes["chat"].hedge_after_s == 0.2
    read = gateway.keys[str(key.token_id)]
    assert (read.routes, read.tags) == (frozenset({"chat"}), {"team": "search"})


def test_keys_are_in_it_sealed(upstream: Upstream) -> None:
    section = compile_section()
    assert SECRET not in json.dumps(section)
    [told] = section["upstreams"][str(upstream.pk)]["keys"]
    assert sealing.unseal(b64decode(told["sealed"]), upstream.sealing_place) == SECRET.encode()


def test_what_is_paused_is_not_in_it(upstream: Upstream, actor: Actor) -> None:
    route = services.create_route(name="chat", targets=[{"upstream": upstream, "model": "m"}], by=actor)
    services.set_secret_paused(upstream.keys.get(), True, by=actor)
    assert compile_section()["upstreams"][str(upstream.pk)]["keys"] == []
    services.update_upstream(upstream, is_paused=True, by=actor)
    section = compile_section()
    assert section["upstreams"] == {}
    assert section["routes"]["chat"]["targets"] == []
    services.update_route(route, is_paused=True, by=actor)
    assert compile_section()["routes"] == {}


def test_it_holds_nothing_of_others(upstream: Upstream, globex: Any) -> None:
    from apps.core import tenancy

    with tenancy.scope(globex.pk):
        assert compile_section() == {"upstreams": {}, "routes": {}, "keys": {}}


def test_it_takes_as_many_queries_for_many_as_for_one(upstream: Upstream, actor: Actor) -> None:
    def add(number: int) -> None:
        other = services.create_upstream(name=f"other {number}", kind="openai", secret=f"sk-{number}", by=actor)
        targets = [{"upstream": upstream, "model": "m"}, {"upstream": other, "model": "n", "tier": 1}]
        route = services.create_route(name=f"route-{number}", targets=targets, by=actor)
        services.create_key(f"key {number}", routes=[route.pk], by=actor)

    add(0)
    compile_section()
    with CaptureQueriesContext(connection) as few:
        compile_section()
    for number in range(1, 5):
        add(number)
    with CaptureQueriesContext(connection) as many:
        compile_section()
    assert len(few) == len(many)
