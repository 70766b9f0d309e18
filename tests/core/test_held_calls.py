"""Calls that wait: asked again when it rings, by the clock when nothing is heard, let go when their caller is gone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from apps.core import held_calls
from apps.core.held_calls import HeldCalls

PATH = "/take/"
NOWHERE = "redis://127.0.0.1:1/0"


class Shelf:
    """An application that gives away what lies on it, and has those who find nothing wait."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.things: list[bytes] = []
        self.asked: list[bytes] = []
        self.status_when_empty = 204
        self.busy = asyncio.Event()
        self.busy.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append((await receive())["body"])
        thing = self.things.pop(0) if self.things else None
        await self.busy.wait()
        headers = [] if thing else [(b"X-Held-For", self.channel.encode()), (b"X-Held-Seconds", b"20")]
        status = 200 if thing else self.status_when_empty
        await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"x-other", b"1")]})
        await send({"type": "http.response.body", "body": thing or b""})


class Caller:
    """Somebody who calls, and may hang up."""

    def __init__(self, calls: HeldCalls, body: bytes = b"{}", headers: Any = ()) -> None:
        self._messages = [{"type": "http.request", "body": body, "more_body": False}]
        self._has_hung_up = asyncio.Event()
        self.sent: list[Any] = []
        scope = {"type": "http", "method": "POST", "path": PATH, "headers": list(headers)}
        self.task = asyncio.create_task(calls(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._messages:
            return self._messages.pop()
        await self._has_hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def hang_up(self) -> None:
        self._has_hung_up.set()

    async def answer(self) -> tuple[int, bytes]:
        await asyncio.wait_for(self.task, 10)
        assert self.sent[0]["headers"] == [(b"x-other", b"1")]
        return self.sent[0]["status"], self.sent[1]["body"]


@pytest.fixture
def channel() -> str:
    return f"test:bell:{uuid4()}"


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture
async def shelf(channel: str) -> Shelf:
    return Shelf(channel)


def calls_of(shelf: Shelf, redis_url: str | None = None) -> HeldCalls:
    return HeldCalls(shelf, path=PATH, redis_url=redis_url or os.environ["REDIS_URL"], pattern="test:bell:*")


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.005)


async def listening(redis: Redis) -> None:
    while not await redis.pubsub_numpat():
        await asyncio.sleep(0.005)


async def test_a_call_is_answered_as_soon_as_it_rings(shelf: Shelf, redis: Redis, monkeypatch: Any) -> None:
    monkeypatch.setattr(held_calls, "LOOK_EVERY_S", 3600)
    caller = Caller(calls_of(shelf), b'{"a": 1}')
    await listening(redis)
    await until(lambda: len(shelf.asked) >= 2)  # at the beginning, and once it hears
    shelf.things.append(b"thing")
    rung_at = time.monotonic()
    await redis.publish(shelf.channel, "")
    assert await caller.answer() == (200, b"thing")
    assert time.monotonic() - rung_at < 0.5
    assert set(shelf.asked) == {b'{"a": 1}'}


async def test_one_ring_wakes_as_many_as_find_something(shelf: Shelf, redis: Redis, monkeypatch: Any) -> None:
    monkeypatch.setattr(held_calls, "LOOK_EVERY_S", 3600)
    calls = calls_of(shelf)
    callers = [Caller(calls) for _ in range(50)]
    await listening(redis)
    await until(lambda: len(shelf.asked) >= 51)
    asked_before = len(shelf.asked)
    shelf.things.extend([b"thing"] * 3)
    await redis.publish(shelf.channel, "")
    await until(lambda: sum(caller.task.done() for caller in callers) == 3)
    await asyncio.sleep(0.1)
    assert len(shelf.asked) - asked_before == 4  # the fourth found nothing
    for caller in callers:
        caller.hang_up()
        await caller.task


async def test_a_ring_while_one_asks_is_not_lost(shelf: Shelf, redis: Redis, monkeypatch: Any) -> None:
    monkeypatch.setattr(held_calls, "LOOK_EVERY_S", 3600)
    caller = Caller(calls_of(shelf))
    await listening(redis)
    await until(lambda: len(shelf.asked) >= 2)
    shelf.busy.clear()
    await redis.publish(shelf.channel, "")
    await until(lambda: len(shelf.asked) >= 3)  # it has looked and found nothing, and was not answered yet
    shelf.things.append(b"thing")
    await redis.publish(shelf.channel, "")
    await asyncio.sleep(0.1)
    shelf.busy.set()
    assert await caller.answer() == (200, b"thing")


async def test_a_ring_is_not_for_somebody_who_is_gone(shelf: Shelf, redis: Redis, monkeypatch: Any) -> None:
    monkeypatch.setattr(held_calls, "LOOK_EVERY_S", 3600)
    calls = calls_of(shelf)
    first, second = Caller(calls), Caller(calls)
    await listening(redis)
    await until(lambda: len(shelf.asked) >= 3)
    first.hang_up()
    await first.task
    shelf.things.append(b"thing")
    await redis.publish(shelf.channel, "")
    assert await second.answer() == (200, b"thing")


async def test_nothing_comes_of_it_when_the_time_is_over(shelf: Shelf, monkeypatch: Any) -> None:
    shelf_of_a_second = calls_of(shelf)
    monkeypatch.setattr("tests.core.test_held_calls.Shelf.__call__", _asks_for_one_second)
    began = time.monotonic()
    assert await Caller(shelf_of_a_second).answer() == (204, b"")
    assert 0.9 < time.monotonic() - began < 3


async def _asks_for_one_second(self: Shelf, scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"X-Held-For", self.channel.encode()), (b"X-Held-Seconds", b"1"), (b"x-other", b"1")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def test_without_redis_the_clock_looks_each_second_for_all_together(shelf: Shelf) -> None:
    calls = calls_of(shelf, NOWHERE)
    callers = [Caller(calls) for _ in range(20)]
    await until(lambda: len(shelf.asked) >= 20)
    await asyncio.sleep(2.5)
    assert 21 <= len(shelf.asked) <= 24
    shelf.things.append(b"thing")
    await until(lambda: any(caller.task.done() for caller in callers))
    for caller in callers:
        caller.hang_up()
        await caller.task


async def test_a_caller_who_hangs_up_is_let_go(shelf: Shelf, redis: Redis) -> None:
    calls = calls_of(shelf)
    caller = Caller(calls)
    await listening(redis)
    await until(lambda: len(shelf.asked) >= 2)
    caller.hang_up()
    await asyncio.wait_for(caller.task, 2)
    shelf.things.append(b"thing")
    await redis.publish(shelf.channel, "")
    await asyncio.sleep(0.2)
    assert shelf.things == [b"thing"]


async def test_more_than_can_be_held_are_answered_at_once(shelf: Shelf, monkeypatch: Any) -> None:
    monkeypatch.setattr(held_calls, "MOST_HELD", 2)
    calls = calls_of(shelf)
    held = [Caller(calls), Caller(calls)]
    await until(lambda: len(shelf.asked) >= 2)
    assert await Caller(calls).answer() == (204, b"")
    for caller in held:
        caller.hang_up()
        await caller.task


async def test_a_caller_who_does_not_want_to_wait_is_answered_at_once(shelf: Shelf) -> None:
    caller = Caller(calls_of(shelf), headers=[(b"prefer", b"wait=0")])
    assert await caller.answer() == (204, b"")
