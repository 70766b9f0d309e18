"""What limits did: added up in a process, written once a second, read by pages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from apps.core import live_channel
from apps.ratelimits import seen
from apps.ratelimits.rules import Algorithm, Decision, Rule, Verdict
from apps.ratelimits.seen import Counts, Recorder
from tests.edge.plane import PrivateValkey

ORGANIZATION = "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5b"


@pytest.fixture
def client(valkey: PrivateValkey) -> redis.Redis:
    return valkey.client


@pytest.fixture
def recorder(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """One that writes when a test says so."""
    monkeypatch.setattr(Recorder, "_run", lambda self: None)
    recorder = Recorder(client)
    yield recorder
    recorder.close()


def decision(remaining: int = 5, is_allowed: bool = True, ago_s: float = 0, **rule: Any) -> Decision:
    met = Rule("limits:{o}:p", rule.pop("policy", "p"), Algorithm.GCRA, 10, 60_000, 10, **rule)
    at_ms = int((time.time() - ago_s) * 1000)
    refusals = [] if is_allowed or met.is_shadow else [0]
    return Decision("", at_ms, [met], [Verdict(is_allowed, remaining, 0, 0)], refusals=refusals)


def hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def test_decisions_of_several_processes_add_up(client: redis.Redis, recorder: Recorder) -> None:
    other = Recorder(client)
    for number, one in enumerate((recorder, other, recorder)):
        one.add(ORGANIZATION, decision(remaining=9 - number), ["ada"])
        one.add(ORGANIZATION, decision(0, is_allowed=False), ["ada"])
        one.add(ORGANIZATION, decision(4, policy="q", is_shadow=True), ["ada"])
        one.add(ORGANIZATION, decision(4, is_allowed=False, policy="q", is_shadow=True), ["ada"])
        one.flush()
    sums = seen.summed(client, ORGANIZATION, hour_ago())
    assert sums == {"p": Counts(3, 3, 0, 0.0), "q": Counts(3, 0, 3, 0.4)}
    [limited] = seen.limited_now(client, ORGANIZATION)
    assert (limited.policy, limited.subject, limited.refused) == ("p", "ada", 3)


def test_minutes_are_told_in_their_order_and_those_before_are_not(client: redis.Redis, recorder: Recorder) -> None:
    for ago_s in (7200, 1800, 0):
        recorder.add(ORGANIZATION, decision(ago_s=ago_s), ["ada"])
    recorder.flush()
    minutes = seen.over_time(client, ORGANIZATION, "p", hour_ago())
    assert [minute.counts for minute in minutes] == [Counts(1, 0, 0, 0.5)] * 2
    assert minutes[0].at < minutes[1].at <= datetime.now(UTC)
    assert seen.over_time(client, ORGANIZATION, "unknown", hour_ago()) == []
    assert len(seen.over_time(client, ORGANIZATION, "p", datetime.fromtimestamp(0, UTC))) == 3


def test_where_somebody_was_refused_is_known_without_asking_every_organization(
    client: redis.Redis, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for organization, is_allowed in (("first", False), ("second", False), ("content", True)):
        recorder.add(organization, decision(is_allowed=is_allowed), ["ada"])
        recorder.flush()
    assert seen.where_limited(client, 10) == ["second", "first"]
    assert seen.where_limited(client, 1) == ["second"]
    later = time.time() + seen.NOW_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert seen.where_limited(client, 10) == []
    recorder.add("third", decision(0, is_allowed=False), ["ada"])
    recorder.flush()
    assert client.zcard(seen.WHERE) == 1


def test_pages_are_told_once_for_a_second_of_refusals(client: redis.Redis, recorder: Recorder) -> None:
    for _ in range(50):
        recorder.add(ORGANIZATION, decision(0, is_allowed=False), ["ada"])
    recorder.flush()
    recorder.add(ORGANIZATION, decision(), ["ada"])
    recorder.flush()
    assert client.xlen(live_channel.RING.format(organization_id=ORGANIZATION)) == 1


def test_what_redis_did_not_take_is_written_later(valkey: PrivateValkey, recorder: Recorder) -> None:
    recorder.add(ORGANIZATION, decision(), ["ada"])
    valkey.kill()
    recorder.flush()
    recorder.add(ORGANIZATION, decision(), ["ada"])
    recorder.flush()
    valkey.start()
    recorder.flush()
    assert seen.summed(valkey.client, ORGANIZATION, hour_ago())["p"].passed == 2


def test_memory_is_bounded_in_the_process_and_in_redis(
    client: redis.Redis, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "MOST_SUBJECTS", 5)
    for number in range(12):
        recorder.add(ORGANIZATION, decision(0, is_allowed=False), [f"{number}" * 1000])
        if number % 4 == 3:
            recorder.flush()
    limited = seen.limited_now(client, ORGANIZATION)
    assert len(limited) == 5
    assert all(len(one.subject) == seen.LONGEST_SUBJECT for one in limited)
    assert client.hlen(seen._refusals(ORGANIZATION)) == 5
    monkeypatch.setattr(seen, "MOST_COUNTS", 3)
    recorder.flush()
    for number in range(10):
        recorder.add(ORGANIZATION, decision(policy=f"p{number}"), ["ada"])
    recorder.flush()
    assert len(seen.summed(client, ORGANIZATION, hour_ago())) == 1 + 3


def test_memory_is_bounded_while_redis_hangs(valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are refused while a writing waits in vain, each time."""
    monkeypatch.setattr(seen, "MOST_SUBJECTS", 5)
    monkeypatch.setattr(Recorder, "_run", lambda self: None)
    recorder, numbers = Recorder(valkey.client), iter(range(1000))

    def refuse_many() -> None:
        for _ in range(5):
            recorder.add(ORGANIZATION, decision(0, is_allowed=False), [str(next(numbers))])

    def hang(sums: Any) -> None:
        refuse_many()
        raise redis.TimeoutError

    monkeypatch.setattr(recorder, "_write", hang)
    refuse_many()
    for _ in range(9):
        recorder.flush()
    assert len(recorder._sums[ORGANIZATION].refused) == 5


def test_everything_that_is_kept_ends_by_itself(client: redis.Redis, recorder: Recorder) -> None:
    recorder.add(ORGANIZATION, decision(0, is_allowed=False), ["ada"])
    recorder.flush()
    keys = client.keys(f"limits:{{{ORGANIZATION}}}:*")
    assert len(keys) == 4
    assert all(0 < client.ttl(key) <= seen.KEPT_S for key in keys)


def test_a_process_writes_by_itself_and_its_last_second_when_it_ends(client: redis.Redis) -> None:
    recorder = Recorder(client)
    recorder.add(ORGANIZATION, decision(), ["ada"])
    recorder.close()
    assert seen.summed(client, ORGANIZATION, hour_ago())["p"].passed == 1


def test_what_a_process_decides_alone_tells_nothing_of_the_headroom(client: redis.Redis, recorder: Recorder) -> None:
    """It knows of its share of the limit only, which would look as if the rest was used."""
    recorder.add(ORGANIZATION, replace(decision(remaining=5), is_local=True), ["ada"])
    recorder.flush()
    assert seen.summed(client, ORGANIZATION, hour_ago()) == {"p": Counts(1, 0, 0, 1.0)}
    recorder.add(ORGANIZATION, decision(remaining=9), ["ada"])
    recorder.flush()
    assert seen.summed(client, ORGANIZATION, hour_ago()) == {"p": Counts(2, 0, 0, 0.9)}
