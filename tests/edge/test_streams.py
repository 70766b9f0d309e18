"""Events on their way, with Redis and the disk failing under them."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.core import entries, streams
from apps.core.streams import EventsNotStored, Spool, Writer
from tests.edge.plane import PrivateValkey, wait_until

STREAM = "events:usage"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AWAY_INTERVAL_S", 0.05)
    monkeypatch.setattr(streams, "ADOPT_INTERVAL_S", 0.05)


@asynccontextmanager
async def writing(valkey: PrivateValkey, folder: Path, **bounds: Any) -> AsyncIterator[Writer]:
    redis = Redis.from_url(valkey.url, socket_timeout=2, retry=Retry(NoBackoff(), 0))
    writer = Writer(redis, folder, "test", **bounds)
    writer.start()
    try:
        yield writer
    finally:
        await writer.close()
        await redis.aclose()


def numbers(valkey: PrivateValkey, stream: str = STREAM) -> list[int]:
    return [event["n"] for event in valkey.events(stream)]


def append(writer: Writer, *values: int) -> None:
    for value in values:
        writer.append(STREAM, partial(dict, n=value))


async def test_events_arrive_in_order_in_their_streams(valkey: PrivateValkey, tmp_path: Path) -> None:
    async with writing(valkey, tmp_path / "spool") as writer:
        append(writer, *range(1200))
        writer.append("events:calls", lambda: {"n": -1})
    assert numbers(valkey) == list(range(1200))
    assert numbers(valkey, "events:calls") == [-1]
    assert not list((tmp_path / "spool").iterdir())


async def test_events_go_to_disk_while_redis_is_away_and_follow(valkey: PrivateValkey, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    async with writing(valkey, spool) as writer:
        valkey.kill()
        append(writer, 1, 2)
        await eventually(lambda: any(path.stat().st_size for path in spool.iterdir()), "the spool")
        append(writer, 3)
        valkey.start()
        await eventually(lambda: sorted(set(numbers(valkey))) == [1, 2, 3], "all three")
    assert not list(spool.iterdir())


async def test_what_a_closed_writer_could_not_send_is_adopted(valkey: PrivateValkey, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    valkey.kill()
    async with writing(valkey, spool) as writer:
        append(writer, 1)
    assert len(list(spool.iterdir())) == 1
    valkey.start()
    async with writing(valkey, spool):
        await eventually(lambda: numbers(valkey) == [1], "the event")
        await eventually(lambda: not list(spool.iterdir()), "the spool gone")


async def test_the_spool_of_a_living_process_is_left_alone(valkey: PrivateValkey, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "theirs.jsonl").write_bytes(b'events:usage\t{"n":1}\n')
    holder = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", holder, str(spool / "theirs.jsonl")]
    owner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    owner.stdout.readline()
    async with writing(valkey, spool) as writer:
        append(writer, 2)
        await eventually(lambda: numbers(valkey) == [2], "our own event")
        owner.kill()
        owner.wait()
        await eventually(lambda: numbers(valkey) == [2, 1], "the event of the dead")


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_bytes(b'events:usage\t{"n":1}\nevents:usage\t{"n":2')
    assert list(Spool(tmp_path, "test", path).batches(10)) == [[("events:usage", b'{"n":1}')]]


def test_a_spool_that_was_sent_in_part_goes_on_where_it_stopped(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "test")
    spool.append([("events:usage", b"1"), ("events:usage", b"2"), ("events:usage", b"3")])
    sent = spool.batches(1)
    next(sent)
    next(sent)  # Redis went away while this one was sent
    assert list(spool.batches(2)) == [[("events:usage", b"2"), ("events:usage", b"3")]]
    spool.clear()
    spool.append([("events:usage", b"4")])
    assert list(spool.batches(2)) == [[("events:usage", b"4")]]


def test_on_a_full_disk_nothing_of_a_batch_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, "test")
    spool.append([("events:usage", b"1")])

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            spool.append([("events:usage", b"2")])
    spool.append([("events:usage", b"3")])
    assert list(spool.batches(10)) == [[("events:usage", b"1"), ("events:usage", b"3")]]


def test_a_spool_that_was_removed_between_opening_and_locking_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its events would go to a file without a name."""
    lock = fcntl.flock

    def removed_first(file: Any, operation: int) -> None:
        next(tmp_path.glob("*.jsonl")).unlink()
        lock(file, operation)

    spool = Spool(tmp_path, "test")
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", removed_first)
        with pytest.raises(FileNotFoundError):
            spool.append([("events:usage", b"1")])
    spool.append([("events:usage", b"1")])
    assert list(spool.batches(10)) == [[("events:usage", b"1")]]


async def test_calls_are_refused_while_neither_redis_nor_disk_takes_events(
    valkey: PrivateValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5"""
    monkeypatch.setattr(streams, "QUEUE_LIMIT", 10)

    def full(self: Spool, entries: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with writing(valkey, tmp_path / "spool") as writer:
        writer.require_room()
        valkey.kill()
        with monkeypatch.context() as patch:
            patch.setattr(Spool, "append", full)
            append(writer, *range(10))
            with pytest.raises(EventsNotStored):
                writer.require_room()
        valkey.start()
        await eventually(lambda: sorted(set(numbers(valkey))) == list(range(10)), "what was kept in memory")
        writer.require_room()


async def eventually(is_true: Any, what: str) -> None:
    """`wait_until`, beside the event loop instead of in it."""

    await asyncio.to_thread(wait_until, is_true, what)


def is_refused(writer: Writer) -> bool:
    try:
        writer.require_room()
    except EventsNotStored:
        return True
    return False


async def test_a_full_stream_refuses_calls_until_there_is_room_and_drops_nothing(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    """P8"""
    with structlog.testing.capture_logs() as logged:
        async with writing(valkey, tmp_path / "spool", most_events=10) as writer:
            append(writer, *range(5))
            await eventually(lambda: len(numbers(valkey)) == 5, "half of them")
            await eventually(lambda: any(line["event"] == "stream_half_full" for line in logged), "the alarm")
            writer.require_room()
            append(writer, *range(5, 12))
            await eventually(lambda: is_refused(writer), "a refusal")
            assert numbers(valkey) == list(range(12)), "what had begun already is kept"
            ((first, _),) = valkey.client.xrange(STREAM, count=1)
            entries.finish(valkey.client, "sink", STREAM, [(first, 5)])
            await eventually(lambda: not is_refused(writer), "room again")
    assert [line["event"] for line in logged if line["event"].startswith("stream_")] == [
        "stream_half_full",
        "stream_full",
    ]


async def test_what_is_on_disk_stays_there_while_a_stream_is_full_and_follows(
    valkey: PrivateValkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8: what was spooled in an hour does not fill the memory of Redis."""
    monkeypatch.setattr(streams, "BATCH", 5)
    spool, seen = tmp_path / "spool", set[int]()
    valkey.kill()
    async with writing(valkey, spool) as gone:
        append(gone, *range(20))
    async with writing(valkey, spool, most_events=10) as writer:
        append(writer, *range(20, 40))
        await eventually(lambda: sum(path.stat().st_size > 0 for path in spool.iterdir()) == 2, "both spools")
        valkey.start()
        await eventually(lambda: is_refused(writer), "a refusal")
        while seen != set(range(40)):
            assert len(numbers(valkey)) <= 15
            seen.update(numbers(valkey))
            valkey.client.delete(STREAM)
            await eventually(lambda: not is_refused(writer) or numbers(valkey), "room again")
            await eventually(lambda: seen == set(range(40)) or numbers(valkey), "more of it")


async def until_sent(writer: Writer) -> None:
    async with asyncio.timeout(5):
        while writer.waiting_count:
            await asyncio.sleep(0.01)


async def test_what_is_dispensable_is_dropped_where_it_would_wait_and_blocks_nobody(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    async with writing(valkey, tmp_path / "spool", dispensable={"events:bodies": 3}) as writer:
        for value in range(3):
            writer.append("events:bodies", partial(dict, n=value))
        await until_sent(writer)
        writer.append("events:bodies", partial(dict, n=3))
        append(writer, 1)
        await until_sent(writer)
        writer.require_room()
        assert numbers(valkey, "events:bodies") == [0, 1, 2]
        assert numbers(valkey) == [1]
        valkey.client.delete("events:bodies")
        append(writer, 2)
        await until_sent(writer)
        writer.append("events:bodies", partial(dict, n=4))
    assert numbers(valkey, "events:bodies") == [4]
