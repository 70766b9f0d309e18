"""From the stream to a token's last use."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.models import ApiToken
from tests.conftest import actor_of
from tests.sink.conftest import Sinks, token_event
from workers.sink.copying import Destination
from workers.sink.tables import TOKENS

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def token(acme: Any, actor: Actor) -> ApiToken:
    with tenancy.scope(acme.pk):
        return services.create_token("t", ["predictions.create"], by=actor)[0]


def last_use(token: ApiToken) -> tuple[Any, str, str]:
    with tenancy.scope(token.organization_id):
        token.refresh_from_db()
    return token.last_used_at, token.last_used_address, token.last_used_agent


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def test_a_use_in_the_data_plane_becomes_the_tokens_last_use(sinks: Sinks, token: ApiToken) -> None:
    sinks.append("events:tokens", token_event(token, at=at(0), client="2001:db8::7", agent="python\x00" + "x" * 300))
    sinks.start()
    sinks.wait_until_stored()
    assert last_use(token) == (NOON, "2001:db8::7", ("python\N{REPLACEMENT CHARACTER}" + "x" * 300)[:200])
    assert sinks.dead() == []


def test_the_newest_use_of_a_batch_counts_and_none_goes_back_in_time(sinks: Sinks, token: ApiToken) -> None:
    uses = [token_event(token, at=at(seconds), client=f"10.0.0.{seconds}") for seconds in (5, 9, 7)]
    sinks.append("events:tokens", *uses)
    sinks.start()
    sinks.wait_until_stored()
    assert last_use(token)[:2] == (NOON + timedelta(seconds=9), "10.0.0.9")
    sinks.append("events:tokens", token_event(token, at=at(-3600), client="10.0.0.1"))
    sinks.wait_until_stored()
    assert last_use(token)[:2] == (NOON + timedelta(seconds=9), "10.0.0.9")


def write(*events: dict[str, Any]) -> None:
    destination = Destination(os.environ["DATABASE_SINK_URL"])
    destination.write(TOKENS, TOKENS.rows([json.dumps(event).encode() for event in events]).lines)
    destination.close()


def test_what_several_processes_tell_within_a_minute_is_written_once(sinks: Sinks, token: ApiToken) -> None:
    for seconds in (0, 30, 59.9):
        write(token_event(token, at=at(seconds)))
        assert last_use(token)[0] == NOON
    write(token_event(token, at=at(60)))
    assert last_use(token)[0] == NOON + timedelta(seconds=60)


def test_an_event_that_comes_twice_changes_nothing(sinks: Sinks, token: ApiToken) -> None:
    event = token_event(token, at=at(0))
    write(event, event)
    write(event)
    assert last_use(token)[0] == NOON


def test_a_batch_touches_the_tokens_of_its_own_organizations_only(
    sinks: Sinks, token: ApiToken, globex: Any, outsider: Any
) -> None:
    with tenancy.scope(globex.pk):
        theirs = services.create_token("t", ["predictions.create"], by=actor_of(outsider, "owner"))[0]
    stolen = token_event(theirs, at=at(0), organization_id=str(token.organization_id))
    write(stolen, token_event(token, at=at(0)))
    assert last_use(theirs)[0] is None
    assert last_use(token)[0] == NOON
    write(token_event(theirs, at=at(1)), token_event(token, at=at(100)))
    assert last_use(theirs)[0] == NOON + timedelta(seconds=1)
    assert last_use(token)[0] == NOON + timedelta(seconds=100)


@pytest.mark.parametrize("change", [{"token": "17"}, {"token": None}, {"at": "noon"}, {"at": "2026-01-01T00:00:00"}])
def test_a_use_that_cannot_be_read_goes_to_the_dead(change: dict[str, Any], sinks: Sinks, token: ApiToken) -> None:
    sinks.append("events:tokens", token_event(token, **change), token_event(token, at=at(0)))
    sinks.start()
    sinks.wait_until_stored()
    (dead,) = sinks.dead()
    assert dead[b"stream"] == b"events:tokens"
    assert last_use(token)[0] == NOON
