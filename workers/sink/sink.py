"""The sink's loop. What it has read stays pending in Redis until it is committed, so a kill at any point loses nothing;
what it reads again is recognised by its id, so nothing counts twice. Any number of sinks may run."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import psycopg
import redis
import structlog

from apps.core.heartbeats import Heartbeat
from workers.sink.copying import Destination, RowsRefused
from workers.sink.doorbell import Doorbell
from workers.sink.tables import TABLES, MalformedEvent, Row, Table

GROUP = "sink"
DEAD = "events:dead"
MAX_DEAD = 100_000
BATCH = 2000
BLOCK_MS = 1000
CLAIM_INTERVAL_S = 5.0
ABANDONED_MS = 10_000
FORGOTTEN_MS = 3_600_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0

Entry = tuple[bytes, dict[bytes, bytes] | None]  # the entry's id in its stream, and its fields unless it was deleted
Accepted = tuple[Entry, Row]
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
                self._is_catching_up = True
                if _is_missing_group(error):
                    self._create_groups()
                    continue
                log.warning("sink_waits", seconds=round(pause_s, 1), error=str(error))
                self._stopping.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        self._destination.close()

    def _step(self) -> None:
        if time.monotonic() >= self._next_claim:
            self._take_over()
        batches = self._read("0" if self._is_catching_up else ">")
        for table, entries in batches:
            self._store(table, entries)
        self._is_catching_up = self._is_catching_up and any(entries for _, entries in batches)
        self._doorbell.ring(self._redis, time.monotonic())
        self._heartbeat.beat()

    def _read(self, position: str) -> list[tuple[Table, list[Entry]]]:
        """New entries from `>`, those that this sink has read and not finished from `0`."""
        tables = {table.stream: table for table in TABLES}
        found: Any = self._redis.xreadgroup(
            GROUP, self._consumer, dict.fromkeys(tables, position), count=BATCH, block=BLOCK_MS
        )
        return [(tables[stream.decode()], entries) for stream, entries in _pairs(found)]

    def _take_over(self) -> None:
        """Finish what a sink read that is gone."""
        is_more = False
        for table in TABLES:
            found: Any = self._redis.xautoclaim(
                table.stream, GROUP, self._consumer, min_idle_time=ABANDONED_MS, count=BATCH
            )
            self._store(table, found[1])
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

    def _store(self, table: Table, entries: Sequence[Entry]) -> None:
        """Commit the entries, then take them out of the stream; those that can never be committed go to the dead."""
        accepted: list[Accepted] = []
        for entry in entries:
            try:
                accepted.append((entry, table.row((entry[1] or {}).get(b"e"))))
            except MalformedEvent as error:
                self._bury(table, entry, str(error))
        if accepted:
            self._write(table, accepted)

    def _write(self, table: Table, accepted: Sequence[Accepted]) -> None:
        try:
            self._destination.write(table, [row for _, row in accepted])
        except RowsRefused as error:
            if len(accepted) == 1:
                self._bury(table, accepted[0][0], str(error))
                return
            # One of them spoils the transaction: halve until it stands alone.
            middle = len(accepted) // 2
            self._write(table, accepted[:middle])
            self._write(table, accepted[middle:])
        else:
            self._finish(table, accepted)

    def _finish(self, table: Table, accepted: Sequence[Accepted]) -> None:
        ids = [entry_id for (entry_id, _), _ in accepted]
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(table.stream, GROUP, *ids)
            pipe.xdel(table.stream, *ids)
            pipe.execute()
        self._doorbell.touch({(str(row[1]), table.topic) for _, row in accepted})

    def _bury(self, table: Table, entry: Entry, reason: str) -> None:
        entry_id, fields = entry
        log.error("event_refused", stream=table.stream, id=entry_id.decode(), reason=reason)
        dead: dict[Any, Any] = {
            "stream": table.stream,
            "id": entry_id,
            "reason": reason,
            "e": (fields or {}).get(b"e", b""),
        }
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(DEAD, dead, maxlen=MAX_DEAD, approximate=True)
            pipe.xack(table.stream, GROUP, entry_id)
            pipe.xdel(table.stream, entry_id)
            pipe.execute()


def _pairs(found: Any) -> list[tuple[bytes, list[Entry]]]:
    return list(found.items()) if isinstance(found, dict) else list(found or ())


def _is_missing_group(error: Exception) -> bool:
    return isinstance(error, redis.ResponseError) and str(error).startswith("NOGROUP")
