"""Entries of many events, and how many events wait."""

from __future__ import annotations

from typing import Any

from apps.core import dead_letters, entries
from tests.edge.plane import PrivateValkey

USAGE, CALLS = "events:usage", "events:calls"


def append(client: Any, *waiting: tuple[str, bytes]) -> dict[str, int]:
    streams, command = entries.appending(waiting)
    return dict(zip(streams, client.execute_command(*command), strict=True))


def stored(client: Any, stream: str = USAGE) -> list[list[bytes]]:
    return [entries.events(fields) for _, fields in client.xrange(stream)]


def read(client: Any) -> list[tuple[bytes, int]]:
    client.xgroup_create(USAGE, "sink", id="0", mkstream=True)
    ((_, found),) = client.xreadgroup("sink", "reader", {USAGE: ">"})
    return [(entry_id, len(entries.events(fields))) for entry_id, fields in found]


def test_events_share_entries_in_their_order_and_are_counted(valkey: PrivateValkey) -> None:
    client = valkey.client
    waiting = [(USAGE, str(number).encode()) for number in range(250)]
    assert append(client, *waiting, (CALLS, b"call")) == {USAGE: 250, CALLS: 1}
    assert [len(events) for events in stored(client)] == [100, 100, 50]
    assert [event for events in stored(client) for event in events] == [event for _, event in waiting]
    assert append(client, (USAGE, b"more")) == {USAGE: 251}
    assert entries.counts(client, [USAGE, CALLS]) == {USAGE: 251, CALLS: 1}


def test_what_is_finished_is_counted_off_once(valkey: PrivateValkey) -> None:
    client = valkey.client
    append(client, *((USAGE, b"%d" % number) for number in range(150)))
    first, second = read(client)
    for _ in range(2):
        entries.finish(client, "sink", USAGE, [first])
    assert entries.counts(client, [USAGE]) == {USAGE: 50}
    entries.finish(client, "sink", USAGE, [second])
    assert (entries.counts(client, [USAGE]), client.xpending(USAGE, "sink")["pending"]) == ({USAGE: 0}, 0)


def test_letters_leave_the_count_and_come_back_to_it(valkey: PrivateValkey) -> None:
    client = valkey.client
    append(client, *((USAGE, event) for event in (b"fits", b"wrong", b"worse")))
    (entry,) = read(client)
    dead_letters.bury(client, "sink", USAGE, entry, [(b"wrong", "is wrong"), (b"worse", "is worse")])
    assert (entries.counts(client, [USAGE]), dead_letters.count(client)) == ({USAGE: 0}, 2)
    dead_letters.replay(client, next(dead_letters.letters(client)))
    assert (stored(client), entries.counts(client, [USAGE])) == ([[b"worse"]], {USAGE: 1})


def test_what_an_erasure_took_out_is_not_buried(valkey: PrivateValkey) -> None:
    client = valkey.client
    append(client, (USAGE, b"erased"), (USAGE, b"theirs"))
    ((entry_id, count),) = read(client)
    entries.replace(client, USAGE.encode(), entry_id, count, [b"theirs"])
    dead_letters.bury(client, "sink", USAGE, (entry_id, count), [(b"erased", "its organization is gone")])
    assert (dead_letters.count(client), stored(client), entries.counts(client, [USAGE])) == (
        0,
        [[b"theirs"]],
        {USAGE: 1},
    )
    assert not client.xpending(USAGE, "sink")["pending"]


def test_an_entry_is_replaced_unless_it_is_gone(valkey: PrivateValkey) -> None:
    client = valkey.client
    append(client, *((USAGE, event) for event in (b"ours", b"theirs", b"ours too")))
    ((entry_id, _),) = client.xrange(USAGE)
    for _ in range(2):
        entries.replace(client, USAGE.encode(), entry_id, 3, [b"theirs"])
    assert (stored(client), entries.counts(client, [USAGE])) == ([[b"theirs"]], {USAGE: 1})


def test_a_stream_that_was_emptied_by_hand_has_room_again(valkey: PrivateValkey) -> None:
    append(valkey.client, (USAGE, b"1"), (USAGE, b"2"))
    valkey.client.delete(USAGE)
    assert entries.counts(valkey.client, [USAGE]) == {USAGE: 0}
    assert append(valkey.client, (USAGE, b"3")) == {USAGE: 1}
