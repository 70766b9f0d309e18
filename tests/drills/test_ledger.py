"""Everything between a producer and the ledger fails in turn; the rows and both sums are what the producers counted."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.core import entries
from tests.drills.ground import Ground
from tests.edge.plane import PrivateValkey, wait_until
from workers.supervisor.environment import DATABASE
from workers.supervisor.state import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]

STREAM = "events:usage"
PER_SECOND = 2000
SMALL_BYTES = 256 * 1024
# How long PostgreSQL is away; a minute by hand.
AWAY_S = float(os.environ.get("DRILL_AWAY_SECONDS", "4"))
KILLED = "import tests.drills.killing as killing; killing.arm(); import workers.sink.__main__"


@dataclass
class Producer:
    """Counts in a process of its own until `end`."""

    organization: str
    spool: Path
    environ: dict[str, str]
    per_second: int = PER_SECOND
    largest_file: int | None = None
    told: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "tests.drills.producing", self.organization, str(self.spool)]
        self.errors = self.spool.parent.parent / "producer.log"
        self.process = subprocess.Popen(
            [*command, str(self.per_second)],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors.open("w"),
        )
        if self.largest_file is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (self.largest_file, self.largest_file))

    def end(self) -> int:
        """What was counted and not refused."""
        out, _ = self.process.communicate(timeout=60)
        self.told = json.loads(out.splitlines()[-1])  # the lines before are the log
        return self.told["counted"]


@pytest.fixture
def organization(ground: Ground) -> str:
    return ground.organization().id


@contextmanager
def producing(ground: Ground, organization: str, folder: Path, **environ: str) -> Iterator[Producer]:
    producer = Producer(organization, folder / "spool", {**os.environ, **ground.variables, **environ})
    try:
        yield producer
    finally:
        producer.process.kill()


def ledger(ground: Ground, organization: str) -> list[tuple[int, int]]:
    """Quantity and cost by the rows, by the half hours and by the days."""
    tables = ("usage_usageevent", "usage_usagesum", "usage_usageday")
    totals = "COALESCE(sum(quantity), 0)::bigint, COALESCE(sum(cost_micro_usd), 0)::bigint"
    query = f"SELECT {totals} FROM {{}} WHERE organization_id = %s"  # noqa: S608
    return [tuple(ground.rows(query.format(table), [organization])[0]) for table in tables]


def check(ground: Ground, organization: str, counted: int, redis: Any = None) -> None:
    """The one judgement: all that was counted is there once, by every sum."""
    assert counted > 0
    client = redis or ground.redis
    ground.until(lambda: not client.xlen(STREAM), "The stream is not empty")
    assert ledger(ground, organization) == [(counted, counted)] * 3
    assert client.xlen("events:dead") == 0


def waiting(ground: Ground) -> int:
    return entries.counts(ground.redis, [STREAM])[STREAM]


def rows(ground: Ground, organization: str) -> int:
    return ground.value("SELECT count(*) FROM usage_usageevent WHERE organization_id = %s", [organization])


def test_p10_a_sink_is_killed_between_its_write_and_the_acknowledgement(
    ground: Ground, organization: str, tmp_path: Path
) -> None:
    point = "before workers.sink.sink:Sink._finish"
    sink = ground.program("sink", DRILL_KILL=point, DRILL_KILLED=str(tmp_path))
    deadly = replace(sink, command=[sys.executable, "-c", KILLED])
    with ground.running(deadly), producing(ground, organization, tmp_path) as producer:
        ground.until(lambda: (tmp_path / point).exists(), "Nobody died")
        time.sleep(1)
        check(ground, organization, producer.end())


def test_p10_two_sinks_share_a_stream_and_one_is_killed(ground: Ground, organization: str, tmp_path: Path) -> None:
    sinks = [ground.program("sink", called=name) for name in ("sink", "second-sink")]
    with ground.running(*sinks) as running, producing(ground, organization, tmp_path) as producer:
        ground.until(lambda: rows(ground, organization) > 1000, "Nothing was written")
        running.process("second-sink").kill()
        time.sleep(1)
        check(ground, organization, producer.end())


def test_p8_redis_is_restarted_under_load(ground: Ground, organization: str, tmp_path: Path) -> None:
    with ground.running(ground.program("sink")), producing(ground, organization, tmp_path) as producer:
        ground.until(lambda: rows(ground, organization) > 1000, "Nothing was written")
        ground.restart("valkey")
        time.sleep(1)
        check(ground, organization, producer.end())


def test_p8_redis_is_flushed_and_only_what_stood_in_the_stream_is_lost(
    ground: Ground, organization: str, tmp_path: Path
) -> None:
    with producing(ground, organization, tmp_path) as producer:
        ground.until(lambda: waiting(ground) > 500, "Nothing was appended")
        with ground.redis.pipeline(transaction=True) as pipe:
            pipe.xrange(STREAM)
            pipe.flushall()
            found, _ = pipe.execute()
        lost = sum(json.loads(event)["quantity"] for _, fields in found for event in entries.events(fields))
        time.sleep(0.5)
        counted = producer.end()
    with ground.running(ground.program("sink")):
        check(ground, organization, counted - lost)


def test_p5_postgresql_is_away_under_load_and_the_stream_drains_afterwards(
    ground: Ground, organization: str, tmp_path: Path, record_property: Any
) -> None:
    with ground.running(ground.program("sink")), producing(ground, organization, tmp_path) as producer:
        ground.until(lambda: rows(ground, organization) > 1000, "Nothing was written")
        _allow_connections(ground, False)
        try:
            time.sleep(AWAY_S)
            kept = waiting(ground)
        finally:
            _allow_connections(ground, True)
        counted, began = producer.end(), time.monotonic()
        check(ground, organization, counted)
    assert kept >= AWAY_S * 100
    assert producer.told["refused"] == 0
    record_property(f"events drained after PostgreSQL was away for {AWAY_S:.0f} s", kept)
    record_property("seconds that took", round(time.monotonic() - began, 1))


def _allow_connections(ground: Ground, is_allowed: bool) -> None:
    """Take the database away from everyone, as a stop does, or give it back."""
    with psycopg.connect(ground.variables["DATABASE_ADMIN_URL"], autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{DATABASE}" ALLOW_CONNECTIONS {is_allowed}')
        if not is_allowed:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [DATABASE])


@pytest.fixture(params=["disk", "file"])
def small_disk(request: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What makes a producer's spool end at 256 KiB: its disk is full, or no file of it may be larger.

    The second needs no rights and meets the same code, so that the drill takes place wherever the tests do.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "file":
        yield {"spool": folder / "spool", "largest_file": SMALL_BYTES}
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        why = f"No small disk could be mounted, a small file stands for it: {mounted.stderr.strip()}"
        warnings.warn(why, stacklevel=1)
        pytest.skip(why)
    yield {"spool": folder / "spool"}
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_p8_the_spools_disk_is_full_and_what_is_not_counted_is_refused(
    ground: Ground, organization: str, tmp_path: Path, small_disk: dict[str, Any]
) -> None:
    valkey = PrivateValkey(tmp_path)
    environ = {**os.environ, **ground.variables, "REDIS_URL": valkey.url}
    producer = Producer(organization, environ=environ, per_second=40_000, **small_disk)
    try:
        wait_until(lambda: valkey.client.xlen(STREAM), "events in Redis")
        valkey.kill()
        wait_until(lambda: "refused" in producer.errors.read_text(), "a refusal")
        for path in producer.spool.iterdir():
            assert all(line.endswith(b"}\n") for line in path.open("rb")), "no half lines"
        valkey.start()
        counted = producer.end()
        assert producer.told["refused"] > 0
        with ground.running(ground.program("sink", REDIS_URL=valkey.url)):
            check(ground, organization, counted, valkey.client)
    finally:
        producer.process.kill()
        valkey.kill()
