"""The sink's loop. What it has read stays pending in Redis until it is committed, so a kill at any point loses nothing;
what it reads again is recognised by its id, so nothing counts twice. Any number of sinks may run.

While batches are written the next one is read and checked."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import redis
import structlog

from apps.core import dead_letters, entries
from apps.core.heartbeats import Heartbeat
from workers.sink.batches import Batch, Entry, Part, Read
from workers.sink.copying import Destination, RowsRefused
from workers.sink.doorbell import Bell, Doorbell
from workers.sink.tables import TABLES, Table

GROUP = "sink"
BATCH = 200  # entries, of up to 100 events each
WRITERS = 2
BLOCK_MS = 1000
BLOCK_WHILE_WRITING_MS = 50  # soon afterwards pages are told
CLAIM_INTERVAL_S = 5.0
ABANDONED_MS = 10_000
FORGOTTEN_MS = 3_600_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0

log = structlog.get_logger(__name__)


class Sink:
    def __init__(self, client: redis.Redis, destination: Destination, consumer: str) -> None:
        self._redis = client
        self._destination = destination
        self._consumer = consumer
        self._doorbell = Doorbell()
        self._heartbeat = Heartbeat(client, "sink")
        self._stopping = threading.Event()
        self._next_claim = 0.0
        self._is_catching_up = True
        self._caught_up_to: dict[str, bytes] = {}
        self._claimed_up_to: dict[str, bytes] = {}
        self._writers = ThreadPoolExecutor(WRITERS, "sink-writer")
        self._writing: deque[Future[set[Bell]]] = deque()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Copy until told to stop; whatever is away is tried again with growing pauses."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._step()
                pause_s = FIRST_PAUSE_S
            except (redis.RedisError, psycopg.Error) as error:
                self._is_catching_up, self._caught_up_to = True, {}
                if _is_missing_group(error):
                    self._create_groups()
                    continue
                log.warning("sink_waits", seconds=round(pause_s, 1), error=str(error))
                self._stopping.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        with suppress(redis.RedisError, psycopg.Error):
            self._finish_writing()
            self._doorbell.ring(self._redis, math.inf)
        self._writers.shutdown()
        self._destination.close()

    def _step(self) -> None:
        if self._is_catching_up:
            self._finish_writing()  # what is not acknowledged yet would be read once more
        batches = [Batch.of(table, found) for table, found in self._read()]
        self._is_catching_up = self._is_catching_up and not all(batch.is_empty for batch in batches)
        self._write_behind(batches)
        if time.monotonic() >= self._next_claim:
            self._take_over()
        self._doorbell.ring(self._redis, time.monotonic())
        self._heartbeat.beat()

    def _write_behind(self, batches: list[Batch]) -> None:
        """Have them written while the next ones are read. Raises what the ones before met."""
        while self._writing and (len(self._writing) == WRITERS or self._writing[0].done()):
            self._finish_oldest()
        if not all(batch.is_empty for batch in batches):
            self._writing.append(self._writers.submit(self._store_all, batches))

    def _finish_writing(self) -> None:
        while self._writing:
            self._finish_oldest()

    def _finish_oldest(self) -> None:
        self._doorbell.touch(self._writing.popleft().result())

    def _store_all(self, batches: list[Batch]) -> set[Bell]:
        for batch in batches:
            self._store(batch)
            self._bury_all(batch)
        return {bell for batch in batches for bell in batch.bells}

    def _read(self) -> list[tuple[Table, list[Read]]]:
        """New entries; first those that this sink has read and not finished, each once."""
        tables = {table.stream: table for table in TABLES}
        positions: Any = {name: self._caught_up_to.get(name, b"0") if self._is_catching_up else b">" for name in tables}
        block_ms = BLOCK_WHILE_WRITING_MS if self._writing else BLOCK_MS
        found: Any = self._redis.xreadgroup(GROUP, self._consumer, positions, count=BATCH, block=block_ms)
        read = [(stream.decode(), some) for stream, some in _pairs(found)]
        self._caught_up_to |= {name: some[-1][0] for name, some in read if some}
        return [(tables[name], some) for name, some in read]

    def _take_over(self) -> None:
        """Finish what a sink read that is gone."""
        is_more = False
        for table in TABLES:
            found: Any = self._redis.xautoclaim(
                table.stream, GROUP, self._consumer, ABANDONED_MS, self._claimed_up_to.get(table.stream, "0-0"), BATCH
            )
            self._claimed_up_to[table.stream] = found[0]  # so that what stays unfinished hides nothing behind it
            self._write_behind([Batch.of(table, found[1])])
            self._forget_consumers(table)
            is_more |= len(found[1]) == BATCH
        self._next_claim = time.monotonic() + (0 if is_more else CLAIM_INTERVAL_S)

    def _forget_consumers(self, table: Table) -> None:
        for consumer in self._redis.xinfo_consumers(table.stream, GROUP):
            if consumer["pending"] == 0 and consumer["idle"] > FORGOTTEN_MS:
                self._redis.xgroup_delconsumer(table.stream, GROUP, consumer["name"])

    def _create_groups(self) -> None:
        for table in TABLES:
            try:
                self._redis.xgroup_create(table.stream, GROUP, id="0", mkstream=True)
            except redis.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def _store(self, batch: Batch) -> None:
        """Commit the events, then take out of the stream the entries of which none is refused."""
        if batch.gone:
            self._redis.xack(batch.table.stream, GROUP, *batch.gone)
        if lines := batch.lines:
            try:
                self._destination.write(batch.table, lines)
            except RowsRefused:
                self._sift(batch.table, batch.parts)
        if finished := [(entry.id, entry.count) for entry in batch.entries if not entry.refused]:
            self._finish(batch.table, finished)

    def _sift(self, table: Table, parts: Sequence[Part]) -> None:
        """Commit them by halves, until what spoils a transaction stands alone and is refused."""
        middle = (len(parts) + 1) // 2
        for half in filter(None, (parts[:middle], parts[middle:])):
            try:
                self._destination.write(table, [line for _, _, line in half])
            except RowsRefused as error:
                if len(half) > 1:
                    self._sift(table, half)
                else:
                    entry, event, _ = half[0]
                    entry.refuse(event, str(error))

    def _finish(self, table: Table, finished: Sequence[tuple[bytes, int]]) -> None:
        entries.finish(self._redis, GROUP, table.stream, finished)

    def _bury_all(self, batch: Batch) -> None:
        """What finds the dead letters full stays in its stream, and is taken over and tried again like what a sink left
        behind. So that stream fills up, and no other one waits for it.
        """
        try:
            for entry in batch.entries:
                if entry.refused:
                    self._bury(batch.table, entry)
        except dead_letters.Full as error:
            log.error("dead_letters_full", stream=batch.table.stream, error=str(error))

    def _bury(self, table: Table, entry: Entry) -> None:
        dead_letters.bury(self._redis, GROUP, table.stream, (entry.id, entry.count), entry.refused)
        for _, reason in entry.refused:
            log.error("event_refused", stream=table.stream, id=entry.id.decode(), reason=reason)


def _pairs(found: Any) -> list[tuple[bytes, list[Read]]]:
    return list(found.items()) if isinstance(found, dict) else list(found or ())


def _is_missing_group(error: Exception) -> bool:
    return isinstance(error, redis.ResponseError) and str(error).startswith("NOGROUP")
