"""From the streams to the ledger, with everything on the way killed."""

from __future__ import annotations

import json
import os
import threading
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from pydantic_core import to_json

from apps.core import dead_letters, entries
from tests.edge.plane import wait_until
from tests.sink.conftest import Sinks, body_event, call_event, model_event, usage_event
from workers.sink import sink as sink_module
from workers.sink.copying import Destination
from workers.sink.sink import Sink
from workers.sink.tables import USAGE


class Killed(BaseException):
    """Ends a sink in the test's own process where kill -9 would: nothing after it runs."""


def quantity(sinks: Sinks, organization: Any) -> int:
    return sum(row["quantity"] for row in sinks.rows(organization.pk))


def test_events_become_rows_of_their_own_organization(sinks: Sinks, acme: Any, globex: Any) -> None:
    ours = usage_event(acme.pk, quantity=3, cost_micro_usd=7, dimensions={"model": "m", "token": None})
    call = call_event(acme.pk, path="/v2/models/a\x00b/infer", replica=str(uuid.uuid4()))
    sinks.append("events:usage", ours, usage_event(globex.pk, quantity=5))
    sinks.append("events:calls", call)
    sinks.start()
    sinks.wait_until_stored()
    (row,) = sinks.rows(acme.pk)
    assert (str(row["id"]), row["meter"], row["quantity"], row["cost_micro_usd"]) == (ours["id"], "predictions", 3, 7)
    assert row["occurred_at"].isoformat() == ours["at"]
    assert row["dimensions"] == {"model": "m"}
    assert [row["quantity"] for row in sinks.rows(globex.pk)] == [5]
    (record,) = sinks.rows(acme.pk, "logs_callrecord")
    assert (record["status"], str(record["replica_id"])) == (200, call["replica"])
    assert record["path"] == "/v2/models/a\N{REPLACEMENT CHARACTER}b/infer"
    assert sinks.dead() == []


def test_a_models_call_becomes_one_row_with_its_attempts(sinks: Sinks, acme: Any) -> None:
    call = model_event(acme.pk, attempts=[{"message": "a\t\\b\n"}], tags={"feature": "search"}, cost_micro_usd=None)
    sinks.append("events:models", call, call)
    sinks.start()
    sinks.wait_until_stored()
    (row,) = sinks.rows(acme.pk, "gateway_modelcall")
    assert (str(row["id"]), row["route"], row["is_stream"], row["is_estimated"]) == (call["id"], "chat", True, False)
    assert (row["input_tokens"], row["reasoning_tokens"], row["cost_micro_usd"]) == (7, None, None)
    assert (row["attempts"], row["tags"]) == (call["attempts"], call["tags"])
    assert sinks.dead() == []


def test_what_a_call_said_becomes_a_row_of_its_id(sinks: Sinks, acme: Any) -> None:
    body = body_event(acme.pk, request='{\n  "content": "a\\tb \\\\ \N{SNOWMAN}"\n}')
    sinks.append("events:bodies", body, body)
    sinks.start()
    sinks.wait_until_stored()
    (row,) = sinks.rows(acme.pk, "gateway_modelcallbody")
    assert (str(row["id"]), row["request"], row["response"]) == (body["id"], body["request"], "{}")
    assert row["expires_at"].isoformat() == body["expires_at"]
    assert sinks.dead() == []


def test_the_same_event_twice_counts_once(sinks: Sinks, acme: Any) -> None:
    event = usage_event(acme.pk, quantity=2)
    sinks.append("events:usage", event, event)
    sinks.start()
    sinks.wait_until_stored()
    sinks.append("events:usage", event)
    sinks.wait_until_stored()
    assert quantity(sinks, acme) == 2


BAD: dict[str, Callable[[Any], Any]] = {
    "not JSON": lambda organization: b"{",
    "not an object": lambda organization: [1],
    "no id": lambda organization: usage_event(organization.pk, id=None),
    "id no UUID": lambda organization: usage_event(organization.pk, id="17"),
    "id without time": lambda organization: usage_event(organization.pk, id=str(uuid.uuid4())),
    "id of another time": lambda organization: usage_event(organization.pk, at="2025-01-01T00:00:00Z"),
    "meter with blanks": lambda organization: usage_event(organization.pk, meter="a b"),
    "beyond every amount": lambda organization: usage_event(organization.pk, cost_micro_usd=10**15 + 1),
    "dimensions no object": lambda organization: usage_event(organization.pk, dimensions=[]),
    "negative": lambda organization: usage_event(organization.pk, quantity=-1),
    "fraction": lambda organization: usage_event(organization.pk, quantity=1.5),
    "too large": lambda organization: usage_event(organization.pk, quantity=2**63),
    "no zone": lambda organization: usage_event(organization.pk, at="2026-01-01T00:00:00"),
    "NUL in a dimension": lambda organization: usage_event(organization.pk, dimensions={"model": "a\x00"}),
    "unknown organization": lambda organization: usage_event(uuid.uuid4()),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_event_that_never_fits_goes_to_the_dead_and_holds_up_no_other(sinks: Sinks, acme: Any, kind: str) -> None:
    bad = BAD[kind](acme)
    sinks.append("events:usage", *(usage_event(acme.pk) for _ in range(3)), bad, usage_event(acme.pk))
    sinks.start()
    sinks.wait_until_stored()
    (dead,) = sinks.dead()
    assert dead[b"stream"] == b"events:usage"
    assert dead[b"reason"]
    assert dead[b"e"] == bad if isinstance(bad, bytes) else json.loads(dead[b"e"]) == bad
    assert quantity(sinks, acme) == 4


@pytest.mark.parametrize("moment", ["before the commit", "between commit and acknowledgement"])
def test_a_sink_killed_at_the_worst_moment_neither_loses_nor_repeats(
    sinks: Sinks, acme: Any, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10"""
    sinks.append("events:usage", *(usage_event(acme.pk, quantity=number) for number in range(1, 101)))
    doomed = Sink(sinks.valkey.client, Destination(os.environ["DATABASE_SINK_URL"]), "doomed")

    def die(*arguments: Any) -> None:
        raise Killed

    victim = (Destination, "_copy") if moment == "before the commit" else (Sink, "_finish")
    with monkeypatch.context() as patch:
        patch.setattr(*victim, die)
        with pytest.raises(Killed):
            doomed.run()
    assert quantity(sinks, acme) == (0 if moment == "before the commit" else 5050)
    assert sinks.valkey.client.xpending("events:usage", "sink")["pending"] == 100
    heir = Sink(sinks.valkey.client, Destination(os.environ["DATABASE_SINK_URL"]), "heir")
    monkeypatch.setattr(sink_module, "ABANDONED_MS", 0)
    running = threading.Thread(target=heir.run)
    running.start()
    sinks.wait_until_stored()
    heir.stop()
    running.join()
    assert quantity(sinks, acme) == 5050


def test_sinks_killed_again_and_again_under_load_end_with_every_event_once(sinks: Sinks, acme: Any) -> None:
    """P10"""
    written = 0
    for _ in range(4):
        events = [usage_event(acme.pk, quantity=number % 7) for number in range(500)]
        written += sum(event["quantity"] for event in events)
        before = quantity(sinks, acme)
        process = sinks.start()
        sinks.append("events:usage", *events)
        wait_until(lambda: quantity(sinks, acme) > before, "some of them")  # noqa: B023
        process.kill()
    sinks.start()
    sinks.wait_until_stored()
    assert quantity(sinks, acme) == written


def test_two_sinks_share_the_work_and_count_nothing_twice(sinks: Sinks, acme: Any) -> None:
    """P10"""
    sinks.start()
    sinks.start()
    for _ in range(10):
        sinks.append("events:usage", *(usage_event(acme.pk) for _ in range(300)))
    sinks.wait_until_stored()
    assert quantity(sinks, acme) == 3000


def read(sinks: Sinks, *events: Any) -> list[bytes]:
    """What a sink called `slow` has read and not finished."""
    sinks.append("events:usage", *events)
    client = sinks.valkey.client
    client.xgroup_create("events:usage", sink_module.GROUP, id="0")
    ((_, entries),) = client.xreadgroup(sink_module.GROUP, "slow", {"events:usage": ">"})
    return [entry_id for entry_id, _ in entries]


def test_what_a_slow_sink_and_its_heir_both_refuse_is_one_dead_letter(sinks: Sinks, acme: Any) -> None:
    """P10"""
    (entry_id,) = read(sinks, b"{")
    for _ in range(2):
        dead_letters.bury(sinks.valkey.client, sink_module.GROUP, "events:usage", (entry_id, 1), [(b"{", "no JSON")])
    assert len(sinks.dead()) == 1


def test_full_dead_letters_hold_back_what_has_to_be_buried_and_nothing_else(
    sinks: Sinks, acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MOST", 0)
    monkeypatch.setattr(sink_module, "ABANDONED_MS", 500)
    monkeypatch.setattr(sink_module, "CLAIM_INTERVAL_S", 0.2)
    sinks.append("events:usage", b"{", usage_event(uuid.uuid4()), usage_event(acme.pk, quantity=3))
    sink = Sink(sinks.valkey.client, Destination(os.environ["DATABASE_SINK_URL"]), "waiting")
    running = threading.Thread(target=sink.run)
    running.start()
    wait_until(lambda: quantity(sinks, acme) == 3, "what fits")
    sinks.append("events:usage", b"}", usage_event(acme.pk, quantity=4))
    sinks.append("events:calls", call_event(acme.pk))
    wait_until(lambda: quantity(sinks, acme) == 7, "what came later")
    wait_until(lambda: sinks.rows(acme.pk, "logs_callrecord"), "another stream's")
    assert sinks.valkey.client.xlen("events:usage") == 3
    monkeypatch.setattr(dead_letters, "MOST", 10)
    sinks.wait_until_stored()
    sink.stop()
    running.join()
    assert len(sinks.dead()) == 3
    assert quantity(sinks, acme) == 7


def test_of_one_entry_what_fits_is_stored_and_each_of_the_others_is_a_letter(
    sinks: Sinks, acme: Any, globex: Any
) -> None:
    events = [
        usage_event(acme.pk, quantity=1),
        usage_event(acme.pk, meter="a b"),
        usage_event(globex.pk, quantity=5),
        usage_event(uuid.uuid4()),
        usage_event(acme.pk, quantity=2),
    ]
    sinks.append_as_one("events:usage", *events, events[0])
    sinks.append_as_one("events:usage", usage_event(acme.pk, quantity=4))
    assert entries.counts(sinks.valkey.client, ["events:usage"]) == {"events:usage": 7}
    sinks.start()
    sinks.wait_until_stored()
    assert (quantity(sinks, acme), quantity(sinks, globex)) == (7, 5)
    assert [json.loads(letter[b"e"]) for letter in sinks.dead()] == [events[1], events[3]]
    assert entries.counts(sinks.valkey.client, ["events:usage"]) == {"events:usage": 0}


def test_objects_that_do_not_stand_one_a_line_are_refused(sinks: Sinks, acme: Any) -> None:
    two = b",".join(to_json(usage_event(acme.pk)) for _ in range(2))
    sinks.append("events:usage", two, usage_event(acme.pk, quantity=3))
    sinks.start()
    sinks.wait_until_stored()
    assert (quantity(sinks, acme), [letter[b"e"] for letter in sinks.dead()]) == (3, [two])


def test_an_entry_without_events_is_a_letter(sinks: Sinks, acme: Any) -> None:
    sinks.valkey.client.xadd("events:usage", {"other": "1"})
    sinks.start()
    sinks.wait_until_stored()
    assert [letter[b"reason"] for letter in sinks.dead()] == [b"there is no field `e`"]


def test_what_an_erasure_took_out_of_the_stream_is_no_dead_letter(sinks: Sinks, acme: Any) -> None:
    gone, _ = read(sinks, usage_event(acme.pk), usage_event(acme.pk, quantity=3))
    sinks.valkey.client.xdel("events:usage", gone)
    stopped = Sink(sinks.valkey.client, Destination(os.environ["DATABASE_SINK_URL"]), "slow")
    running = threading.Thread(target=stopped.run)
    running.start()
    sinks.wait_until_stored()
    wait_until(
        lambda: not sinks.valkey.client.xpending("events:usage", sink_module.GROUP)["pending"], "nothing pending"
    )
    stopped.stop()
    running.join()
    assert (quantity(sinks, acme), sinks.dead()) == (3, [])


def test_redis_restarted_and_flushed_is_followed_again(sinks: Sinks, acme: Any) -> None:
    process = sinks.start()
    sinks.append("events:usage", usage_event(acme.pk))
    sinks.wait_until_stored()
    sinks.valkey.kill()
    sinks.valkey.start()
    sinks.append("events:usage", usage_event(acme.pk))
    sinks.wait_until_stored()
    sinks.valkey.client.flushall()
    sinks.append("events:usage", usage_event(acme.pk))
    sinks.wait_until_stored()
    assert quantity(sinks, acme) == 3
    assert process.poll() is None


def test_events_wait_while_postgresql_is_away_and_follow_when_it_is_back(sinks: Sinks, acme: Any) -> None:
    process = sinks.start()
    sinks.append("events:usage", usage_event(acme.pk))
    sinks.wait_until_stored()
    allow_connections(False)
    try:
        sinks.append("events:usage", *(usage_event(acme.pk) for _ in range(50)))
        wait_until(lambda: sinks.valkey.client.xpending("events:usage", "sink")["pending"], "the failed batch")
    finally:
        allow_connections(True)
    sinks.wait_until_stored()
    assert quantity(sinks, acme) == 51
    assert sinks.dead() == []
    assert process.poll() is None


def allow_connections(is_allowed: bool) -> None:
    """Take the database away from everyone, as a restart does, or give it back."""
    name = psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_URL"])["dbname"]
    with psycopg.connect(os.environ["DATABASE_ADMIN_URL"], autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {is_allowed}')
        if not is_allowed:
            ended = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = %s"
            )
            connection.execute(ended, [name, "sink"])


def test_a_sink_that_is_told_to_stop_finishes_and_ends(sinks: Sinks, acme: Any) -> None:
    process = sinks.start()
    sinks.append("events:usage", usage_event(acme.pk))
    sinks.wait_until_stored()
    process.terminate()
    assert process.wait(20) == 0


def test_rows_of_several_organizations_are_written_at_once_and_once(sinks: Sinks, acme: Any, globex: Any) -> None:
    destination = Destination(os.environ["DATABASE_SINK_URL"])
    lines = USAGE.rows([json.dumps(usage_event(o.pk)).encode() for o in (acme, globex, acme)]).lines
    destination.write(USAGE, lines)
    destination.write(USAGE, lines)
    destination.close()
    assert (len(sinks.rows(acme.pk)), len(sinks.rows(globex.pk))) == (2, 1)


def test_pages_are_told_that_usage_and_calls_changed(sinks: Sinks, acme: Any) -> None:
    with sinks.valkey.client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("*")
        sinks.append("events:calls", call_event(acme.pk))
        sinks.start()
        sinks.wait_until_stored()
        message = wait_until(lambda: channel.get_message(timeout=0.5), "the doorbell")
    assert str(acme.pk) in message["channel"].decode()
    assert b"calls" in message["data"]
