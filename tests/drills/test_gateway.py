"""Calls of models while what stands behind the edge fails: all are answered, and the ledger has each of them once."""

from __future__ import annotations

import http.client
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.drills.ground import Ground
from tests.drills.test_ledger import AWAY_S, KILLED, _allow_connections
from tests.edge.plane import Tenant
from tests.gateway.plane import add_route, add_upstream, target
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider
from tests.stand_ins.provider_answers import HELLO
from workers.supervisor.programs import port_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]

STREAMS = ("events:models", "events:usage", "events:calls")
TOKENS = HELLO.input + HELLO.cached + HELLO.output
ROWS = "SELECT count(*), count(DISTINCT request_id) FROM gateway_modelcall WHERE organization_id = %s AND status = 200"
SUMS = {
    table: f"SELECT COALESCE(sum(quantity), 0)::bigint FROM {table} WHERE organization_id = %s"  # noqa: S608
    for table in ("usage_usageevent", "usage_usagesum", "usage_usageday")
}


@dataclass
class At:
    """Where a tenant is published."""

    client: Any


@dataclass
class Models:
    """An organization whose one route leads to a provider over a socket."""

    ground: Ground
    organization: str
    token: str
    port: int
    stand_in: Provider

    def ask(self, **more: Any) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = {"model": "chat", "messages": [{"role": "user", "content": "Say good morning"}], **more}
        headers = {"authorization": f"Bearer {self.token}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        return connection.getresponse()

    def edge(self) -> Any:
        return self.ground.program("edge", OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")

    def check(self, answered: int) -> None:
        """All that was answered is written once: a row for each call, and its tokens by every sum."""
        assert answered > 0
        self.ground.until(lambda: self.rows()[0] >= answered, f"There are fewer than {answered} rows")
        self.ground.until(lambda: not any(map(self.ground.redis.xlen, STREAMS)), "The streams are not empty")
        assert self.rows() == (answered, answered)
        sums = {table: self.ground.value(query, [self.organization]) for table, query in SUMS.items()}
        assert sums == dict.fromkeys(SUMS, answered * TOKENS)
        assert self.ground.redis.xlen("events:dead") == 0

    def rows(self) -> tuple[int, int]:
        return self.ground.rows(ROWS, [self.organization])[0]


@dataclass
class Caller:
    """Asks again and again, as several programs do."""

    models: Models
    statuses: Counter[int] = field(default_factory=Counter)
    is_done: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        while not self.is_done.wait(0.01):
            try:
                with self.models.ask() as response:
                    response.read()
                    self.statuses[response.status] += 1
            except OSError:
                self.statuses[0] += 1


@contextmanager
def calling(models: Models) -> Iterator[Caller]:
    caller = Caller(models)
    threads = [threading.Thread(target=caller.work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        models.ground.until(lambda: caller.statuses[200] > 30, f"Nothing is answered: {caller.statuses}")
        yield caller
    finally:
        caller.is_done.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def models(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    for name in ("TOKEN_PEPPER", "SECRET_KEY"):
        monkeypatch.setenv(name, ground.variables[name])
    tenant = Tenant(At(ground.redis), ground.organization().id)
    token = str(tenant.token("gateway.call"))
    with provider.running() as stand_in:
        add_route(tenant, "chat", target(add_upstream(tenant, f"{stand_in.url}/v1")), bodies_days=None)
        ground.redis.flushall()
        tenant.publish(version=1_000)
        yield Models(ground, tenant.id, token, port_of(ground.sockets.edge), stand_in)


def test_p8_postgresql_is_stopped_while_models_are_called(models: Models, record_property: Any) -> None:
    ground = models.ground
    with ground.running(ground.program("sink"), models.edge()):
        with calling(models) as caller:
            _allow_connections(ground, False)
            try:
                time.sleep(AWAY_S)
            finally:
                _allow_connections(ground, True)
        assert set(caller.statuses) == {200}
        models.check(caller.statuses[200])
    record_property(
        f"calls of models answered with PostgreSQL away for {AWAY_S:.0f} s, none lost", caller.statuses[200]
    )


def test_p8_redis_is_stopped_while_models_are_called(models: Models, record_property: Any) -> None:
    ground = models.ground
    with ground.running(ground.program("sink"), models.edge()):
        with calling(models) as caller:
            ground.service("valkey").send_signal(signal.SIGSTOP)
            try:
                time.sleep(AWAY_S)
            finally:
                ground.service("valkey").send_signal(signal.SIGCONT)
        assert set(caller.statuses) == {200}
        models.check(caller.statuses[200])
    record_property(f"model calls answered with Redis away for {AWAY_S:.0f} s, none lost", caller.statuses[200])


def test_p10_a_sink_is_killed_between_a_calls_write_and_its_acknowledgement(models: Models, tmp_path: Path) -> None:
    ground, point = models.ground, "before workers.sink.sink:Sink._finish"
    sink = ground.program("sink", DRILL_KILL=point, DRILL_KILLED=str(tmp_path))
    deadly = replace(sink, command=[sys.executable, "-c", KILLED])
    with ground.running(deadly, models.edge()):
        with calling(models) as caller:
            ground.until(lambda: (tmp_path / point).exists(), "Nobody died")
            time.sleep(1)
        assert set(caller.statuses) == {200}
        models.check(caller.statuses[200])


def test_p9_an_edge_is_killed_in_mid_stream(models: Models) -> None:
    ground = models.ground
    with ground.running(ground.program("sink"), models.edge()) as running:
        with calling(models) as caller:
            pass
        ground.until(lambda: models.rows()[0] == caller.statuses[200], "What was answered was not written")
        models.stand_in.next.append(provider.saying(pause_s=0.5))
        streamed = models.ask(stream=True)
        assert streamed.readline().startswith(b"data: ")
        running.process("edge").kill()
        with pytest.raises((http.client.IncompleteRead, OSError)):
            streamed.read()
        ground.until(lambda: _is_answered(models), "No edge came back")
        models.check(caller.statuses[200] + 1)


def _is_answered(models: Models) -> bool:
    with suppress(OSError), models.ask() as response:
        return response.status == 200
    return False
