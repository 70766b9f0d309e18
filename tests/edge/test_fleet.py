"""Attempts, deadlines and refusals of one call over replicas that misbehave."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from apps.core.edge import Call, Snapshot
from apps.deployments import connections, edge
from apps.deployments.edge import DeadlineExceeded, Fleet, ReplicasFailed
from apps.deployments.protocol import RefusedByReplica
from tests.replica.models import SIGNATURE, infer_request

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answering(status: int, body: bytes = b"{}", rows: int = 1) -> Behaviour:
    head = b"HTTP/1.1 %d X\r\nX-Row-Count: %d\r\ncontent-length: %d\r\n\r\n" % (status, rows, len(body))

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)

    return behave


async def hanging(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@dataclass
class Stub:
    id: str
    address: str
    calls: int = 0


@asynccontextmanager
async def stub(behave: Behaviour) -> AsyncIterator[Stub]:
    """A replica's stand-in that behaves as it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65536):
            replica.calls += head.startswith(b"POST")
            await behave(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    replica = Stub(str(uuid.uuid4()), f"{host}:{port}")
    try:
        yield replica
    finally:
        server.close()


@asynccontextmanager
async def fleet(*behaviours: Behaviour) -> AsyncIterator[tuple[Fleet, list[Stub]]]:
    async with AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(stub(behave)) for behave in behaviours]
        made = Fleet()
        made.apply(snapshot(stubs))
        yield made, stubs
        made.close()


def snapshot(stubs: list[Stub], version: int = 1) -> Snapshot:
    replicas = [{"id": stub.id, "address": stub.address} for stub in stubs]
    deployment = {"deployment_id": "d", "version": 1, "signature": SIGNATURE, "replicas": replicas}
    return Snapshot("acme", version, {"deployments": {"leaving": deployment}})


def call(body: Any = None) -> Call:
    async def read() -> bytes:
        return b""

    made = Call("POST", "/v2/models/leaving/infer", b"", {}, "127.0.0.1", "req_12345678", read)
    made.organization_id, made.parameters = "acme", {"name": "leaving"}
    made.body = json.dumps(infer_request() if body is None else body).encode()
    return made


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "ATTEMPT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(connections, "WATCH_INTERVAL_S", 0.01)


async def test_a_replica_that_hangs_is_given_up_for_another() -> None:
    async with fleet(hanging, answering(200)) as (made, stubs):
        for _ in range(10):
            assert (await made.infer(call())).status == 200
        assert stubs[0].calls <= 2


async def test_an_internal_error_is_tried_on_another_replica() -> None:
    async with fleet(answering(500), answering(200)) as (made, stubs):
        for _ in range(20):
            assert (await made.infer(call())).status == 200
        assert 0 < stubs[0].calls < 20


async def test_when_every_replica_fails_the_call_is_refused_and_counts_nothing() -> None:
    async with fleet(answering(500), answering(503)) as (made, stubs):
        refused = call()
        with pytest.raises(ReplicasFailed):
            await made.infer(refused)
        assert [stub.calls for stub in stubs] == [1, 1]
        assert refused.quantities == {}


async def test_a_call_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "DEADLINE_S", 0.15)
    async with fleet(hanging, hanging, hanging) as (made, stubs):
        with pytest.raises(DeadlineExceeded):
            await made.infer(call())
        assert 1 <= sum(stub.calls for stub in stubs) < len(stubs)


async def test_a_refusal_of_the_replica_is_handed_on_and_counts_nothing() -> None:
    document = {"code": "unseen_category", "detail": "Not gold.", "errors": [{"field": "plan"}]}
    async with fleet(answering(422, json.dumps(document).encode())) as (made, stubs):
        for _ in range(5):
            refused = call()
            with pytest.raises(RefusedByReplica) as refusal:
                await made.infer(refused)
            error = refusal.value
            assert (error.status, error.code, error.field, error.message) == (
                422,
                "unseen_category",
                "plan",
                "Not gold.",
            )
            assert refused.quantities == {}
        assert stubs[0].calls == 5
        assert (await made.ready(call())).status == 200


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"code": 1}'])
async def test_an_answer_that_no_replica_gives_is_not_handed_on(body: bytes) -> None:
    async with fleet(answering(404, body)) as (made, _):
        with pytest.raises(ReplicasFailed):
            await made.infer(call())


async def test_the_rows_that_a_replica_says_it_predicted_are_counted() -> None:
    async with fleet(answering(200, rows=7)) as (made, _):
        good = call()
        await made.infer(good)
        assert good.quantities == {"predictions": 7}


async def test_a_replica_keeps_its_health_and_connections_over_snapshots_that_name_it() -> None:
    async with fleet(answering(200), answering(200)) as (made, stubs):
        await made.infer(call())
        before = {replica.id: replica for replica in made.endpoint(call()).replicas}
        made.apply(snapshot(stubs[:1], version=2))
        (kept,) = made.endpoint(call()).replicas
        assert kept is before[stubs[0].id]


async def test_a_replica_that_moved_is_a_new_one() -> None:
    async with fleet(answering(200), answering(200)) as (made, stubs):
        before = made.endpoint(call()).replicas[0]
        moved = Stub(stubs[0].id, stubs[1].address)
        made.apply(snapshot([moved], version=2))
        (now,) = made.endpoint(call()).replicas
        assert now is not before
        assert now.connections.address == stubs[1].address
