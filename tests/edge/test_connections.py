"""The HTTP client to the replicas, against servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from apps.deployments import connections
from apps.deployments.connections import Connections, ReplicaUnreachable, Request

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Answering = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def replica(answer: Answering) -> AsyncIterator[tuple[Connections, list[int]]]:
    """A server that calls `answer(number of this request, writer)`; the list holds each request's connection."""
    requests: list[int] = []
    accepted = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        connection = accepted
        while not writer.is_closing():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            requests.append(connection)
            await answer(len(requests), writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = Connections(f"{host}:{port}")
    try:
        yield client, requests
    finally:
        client.close()
        server.close()


async def send(client: Connections, body: bytes = b"{}") -> connections.Reply:
    return await client.request(Request("/infer", "req-1", body))


def always(data: bytes, *, close: bool = False) -> Answering:
    async def answer(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        if close:
            await writer.drain()
            writer.close()

    return answer


async def test_a_connection_is_used_again() -> None:
    async with replica(always(OK)) as (client, requests):
        for _ in range(3):
            assert (await send(client)).body == b"ok"
        assert requests == [1, 1, 1]


async def test_calls_at_the_same_time_get_connections_of_their_own() -> None:
    async with replica(always(OK)) as (client, requests):
        await asyncio.gather(*(send(client) for _ in range(5)))
        assert sorted(requests) == [1, 2, 3, 4, 5]


async def test_an_answer_in_small_pieces_is_put_together() -> None:
    async def slowly(number: int, writer: asyncio.StreamWriter) -> None:
        for byte in OK:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with replica(slowly) as (client, _):
        assert (await send(client)).body == b"ok"


async def test_a_chunked_answer_is_put_together() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
    async with replica(always(chunked)) as (client, requests):
        assert [(await send(client)).body for _ in range(2)] == [b"ok", b"ok"]
        assert requests == [1, 1]


async def test_a_server_that_closes_after_each_answer_is_reached_each_time() -> None:
    polite = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with replica(always(polite, close=True)) as (client, requests):
        assert [(await send(client)).status for _ in range(3)] == [200, 200, 200]
        assert requests == [1, 2, 3]


async def test_a_connection_that_ends_just_as_it_is_used_again_is_replaced() -> None:
    async def second_time_gone(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 2:
            writer.transport.abort()
        else:
            writer.write(OK)

    async with replica(second_time_gone) as (client, requests):
        assert (await send(client)).body == b"ok"
        assert (await send(client)).body == b"ok"
        assert requests == [1, 1, 2]


@pytest.mark.parametrize(
    "half",
    [b"", b"HTTP/1.1 200 OK\r\nconte", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", b"HTTP/1.1 200 OK\r\n\r\nok"],
)
async def test_half_an_answer_is_none(half: bytes) -> None:
    async with replica(always(half, close=True)) as (client, _):
        with pytest.raises(ReplicaUnreachable):
            await send(client)


async def test_half_an_answer_on_a_used_connection_is_not_taken_for_a_stale_one() -> None:
    async def second_time_half(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if number == 1 else OK[:-1])
        if number == 2:
            await writer.drain()
            writer.close()

    async with replica(second_time_half) as (client, requests):
        await send(client)
        with pytest.raises(ReplicaUnreachable):
            await send(client)
        assert requests == [1, 1]


async def test_what_is_not_http_is_refused() -> None:
    async with replica(always(b"SSH-2.0-OpenSSH\r\n\r\n")) as (client, _):
        with pytest.raises(ReplicaUnreachable, match="not HTTP"):
            await send(client)


async def test_bytes_nobody_asked_for_never_become_an_answer() -> None:
    async with replica(always(OK + OK.replace(b"ok", b"no"))) as (client, requests):
        for _ in range(3):
            assert (await send(client)).body == b"ok"
        assert requests == [1, 2, 3]


async def test_an_answer_over_the_limit_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_ANSWER_BYTES", 1000)
    huge = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000
    async with replica(always(huge)) as (client, _):
        with pytest.raises(ReplicaUnreachable, match="larger"):
            await send(client)


async def test_nobody_listening_is_said_at_once() -> None:
    async with replica(always(OK)) as (client, _):
        pass
    with pytest.raises(ReplicaUnreachable):
        await send(Connections(client.address))


async def test_a_call_that_was_given_up_does_not_leave_its_answer_to_the_next() -> None:
    async def first_time_late(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            await asyncio.sleep(0.1)
        writer.write(OK.replace(b"ok", b"%02d" % number))

    async with replica(first_time_late) as (client, requests):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await send(client)
        assert (await send(client)).body == b"02"
        assert requests == [1, 2]


async def test_after_closing_a_running_call_ends_well_and_its_connection_is_not_kept() -> None:
    async def soon(number: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(OK)

    async with replica(soon) as (client, requests):
        running = asyncio.create_task(send(client))
        while not requests:
            await asyncio.sleep(0)
        client.close()
        assert (await running).body == b"ok"
        await send(client)
        assert requests == [1, 2]
