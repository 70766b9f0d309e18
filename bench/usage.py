"""The whole way of an event to the ledger beside a bare COPY of the same rows.

A Writer of this process appends to a stream of Redis; one sink, a process of its own, checks the events and writes rows
and sums. The clock runs from the first append until the stream is empty, so until the last transaction is committed and
acknowledged. The peer is one COPY of the same rows, formatted before, into a table of the same columns, key and index,
without sums, policies and partitions.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.report import Row
from bench.services import measured, organization

ROUNDS = 4
EVENTS = 400_000
AT_ONCE = 1_000  # far below what a producer keeps at most before it refuses calls
STREAM = "events:usage"
COLUMNS = "id, organization_id, meter, quantity, cost_micro_usd, occurred_at, dimensions"


def run() -> list[Row]:
    return measured("bench.usage")


def measure() -> list[Row]:
    import redis

    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    organizations = {count: [organization(f"of{count}-{n}")[0].pk for n in range(count)] for count in (1, 50)}
    with _sink():
        return [_row(client, f"events of {len(some)} organizations", some) for some in organizations.values()]


def _row(client: Any, what: str, organizations: list[Any]) -> Row:
    pipeline, bare = [], []
    for _ in range(ROUNDS):
        events = [_event(number, organizations) for number in range(EVENTS)]
        pipeline.append(EVENTS / asyncio.run(_through_the_pipeline(client, events)))
        bare.append(EVENTS / _by_bare_copy(events))
    pipeline, bare = pipeline[1:], bare[1:]
    ratio = median(ours / theirs for ours, theirs in zip(pipeline, bare, strict=True))
    return Row(what, median(pipeline), "events/s", "bare COPY", median(bare), ratio, ">= 0.5", ratio >= 0.5)


def _event(number: int, organizations: list[Any]) -> dict[str, Any]:
    from apps.core.ids import uuid7

    return {
        "id": uuid7(),
        "organization_id": organizations[number % len(organizations)],
        "meter": ("predictions", "input_tokens", "output_tokens")[number % 3],
        "quantity": number % 900,
        "cost_micro_usd": number % 70,
        "at": datetime.now(UTC),
        "dimensions": {
            "token": f"0192d1f0-0000-7000-8000-{number % 40:012d}",
            "user": f"user-{number % 25}",
            "model": f"model-{number % 4}",
            "deployment": f"model-{number % 4}",
            "request_id": f"req_{number:024d}",
        },
    }


async def _through_the_pipeline(client: Any, events: list[dict[str, Any]]) -> float:
    from redis.asyncio import Redis

    from apps.core.streams import Writer

    redis = Redis.from_url(os.environ["REDIS_URL"])
    with tempfile.TemporaryDirectory() as spool:
        writer = Writer(redis, Path(spool), "bench")
        gc.collect()
        gc.freeze()  # the events themselves, which no producer holds all at once
        started = time.perf_counter()
        writer.start()
        for start in range(0, EVENTS, AT_ONCE):
            for event in events[start : start + AT_ONCE]:
                writer.append(STREAM, partial(dict, event))
            while writer.waiting_count > AT_ONCE:
                await asyncio.sleep(0)
        await writer.close()
        while client.xlen(STREAM):
            await asyncio.sleep(0.005)
        took = time.perf_counter() - started
    gc.unfreeze()
    await redis.aclose()
    assert not client.exists("events:dead")
    return took


def _by_bare_copy(events: list[dict[str, Any]]) -> float:
    import psycopg
    from pydantic_core import to_json

    from workers.sink.tables import USAGE

    text = "".join(USAGE.rows([to_json(event) for event in events]).lines)
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bare")
        connection.execute("CREATE TABLE bare (LIKE usage_usageevent INCLUDING ALL)")
        started = time.perf_counter()
        with connection.cursor().copy(f"COPY bare ({COLUMNS}) FROM STDIN") as copy:
            copy.write(text)
        return time.perf_counter() - started


@contextmanager
def _sink() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "workers.sink"])
    try:
        yield
    finally:
        process.terminate()
        process.wait()
