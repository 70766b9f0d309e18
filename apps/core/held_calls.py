"""Calls that wait for something: held in the event loop, without a thread or a connection to the database.

A view that has nothing to answer yet answers so at once and names, in headers of ours, the channels in Redis that tell
of something new, and how long its caller wants to wait. The call is then asked again each time that something may be
there. Each asking is a whole request, so that a token that was revoked meanwhile is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from apps.core.body_limit import Application, Receive, Scope, Send

log = structlog.get_logger(__name__)

CHANNELS = "X-Held-For"
SECONDS = "X-Held-Seconds"
# What was not heard of for any reason is found by the clock.
LOOK_EVERY_S = 5.0
LOOK_WHEN_DEAF_EVERY_S = 1.0
LONGEST_ASKING_S = 60.0
# Calls that wait for one channel in one process; more are answered at once.
MOST_HELD = 500
MOST_ASKED_AT_ONCE = 4


def wait(channels: Collection[str], seconds: int) -> dict[str, str]:
    """Headers by which a view has its call held."""
    return {CHANNELS: " ".join(channels), SECONDS: str(seconds)} if seconds else {}


class Waiting:
    """One held call."""

    def __init__(self, channels: Collection[str]) -> None:
        self.channels = channels
        self.is_rung = asyncio.Event()


class Listener:
    """Hears of channels in Redis, on one connection of a process, and wakes one call for each ring.

    Who was woken and has found something, or is gone, wakes the next one: one ring may stand for several jobs.
    """

    def __init__(self, redis_url: str, pattern: str) -> None:
        self._redis_url, self._pattern = redis_url, pattern
        self._waiting: dict[str, dict[Waiting, None]] = {}
        self._rung_at: dict[str, float] = {}
        self._is_deaf = True
        self.asking = asyncio.Semaphore(MOST_ASKED_AT_ONCE)
        self.loop = asyncio.get_running_loop()
        self._tasks = [self.loop.create_task(self._listen()), self.loop.create_task(self._look_by_the_clock())]

    @contextmanager
    def hold(self, channels: Collection[str], *, asked_at: float) -> Iterator[Waiting]:
        """A call that waits since it was answered that there was nothing, which was asked at that moment."""
        waiting = Waiting(channels)
        for channel in channels:
            self._waiting.setdefault(channel, {})[waiting] = None
        self._wake_if_late(waiting, asked_at)
        try:
            yield waiting
        finally:
            self._forget(waiting)

    def is_full(self, channels: Collection[str]) -> bool:
        return any(len(self._waiting.get(channel, ())) >= MOST_HELD for channel in channels)

    def go_on(self, waiting: Waiting, *, asked_at: float) -> None:
        """The call was woken in vain, and waits behind the others."""
        waiting.is_rung.clear()
        for channel in waiting.channels:
            self._waiting[channel][waiting] = self._waiting[channel].pop(waiting)
        self._wake_if_late(waiting, asked_at)

    def _wake_if_late(self, waiting: Waiting, asked_at: float) -> None:
        if any(self._rung_at.get(channel, 0) >= asked_at for channel in waiting.channels):
            waiting.is_rung.set()

    def _forget(self, waiting: Waiting) -> None:
        for channel in waiting.channels:
            others = self._waiting[channel]
            others.pop(waiting)
            if not others:
                del self._waiting[channel]
            elif waiting.is_rung.is_set():
                self._wake(channel)

    def _wake(self, channel: str) -> None:
        """Wake the call that has waited longest and was not woken yet."""
        for waiting in self._waiting.get(channel, ()):
            if not waiting.is_rung.is_set():
                waiting.is_rung.set()
                return

    def _wake_all(self) -> None:
        for channel in self._waiting:
            self._wake(channel)

    def _ring(self, channel: str) -> None:
        self._rung_at.pop(channel, None)
        self._rung_at[channel] = now = time.monotonic()
        while now - next(iter(self._rung_at.values())) > LONGEST_ASKING_S:
            del self._rung_at[next(iter(self._rung_at))]
        self._wake(channel)

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except (RedisError, OSError) as error:
                log.warning("held_calls_hear_nothing", error=str(error))
            self._is_deaf = True
            await asyncio.sleep(LOOK_WHEN_DEAF_EVERY_S)

    async def _hear(self) -> None:
        options: Any = {"socket_connect_timeout": 1, "health_check_interval": 5, "retry": Retry(NoBackoff(), 0)}
        async with Redis.from_url(self._redis_url, **options) as redis, redis.pubsub() as rings:
            await rings.psubscribe(self._pattern)
            while True:
                message = await rings.get_message(timeout=LOOK_EVERY_S)
                if message and message["type"] == "psubscribe":
                    self._is_deaf = False
                    self._wake_all()  # nobody heard what was rung before
                elif message and message["type"] == "pmessage":
                    self._ring(message["channel"].decode())

    async def _look_by_the_clock(self) -> None:
        looked_at = 0.0
        while True:
            await asyncio.sleep(LOOK_WHEN_DEAF_EVERY_S)
            if self._is_deaf or time.monotonic() - looked_at >= LOOK_EVERY_S:
                looked_at = time.monotonic()
                self._wake_all()


class HeldCalls:
    """An ASGI application before another one: holds calls of `path` that the other one has nothing to answer yet."""

    def __init__(self, application: Application, *, path: str, redis_url: str, pattern: str) -> None:
        self._application, self._path = application, path
        self._redis_url, self._pattern = redis_url, pattern
        self._started: Listener | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == self._path:
            await self._hold(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    def _listener(self) -> Listener:
        if self._started is None or self._started.loop is not asyncio.get_running_loop():
            self._started = Listener(self._redis_url, self._pattern)
        return self._started

    async def _hold(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        body = await _whole(receive)
        answer = await self._ask(scope, body)
        if answer.seconds and not _declines(scope) and not self._listener().is_full(answer.channels):
            answer = await self._wait(scope, body, receive, answer, began + answer.seconds)
        for message in answer.messages:
            await send(message)

    async def _wait(self, scope: Scope, body: bytes, receive: Receive, answer: Answer, until: float) -> Answer:
        listener, gone = self._listener(), asyncio.create_task(_disconnected(receive))
        try:
            with listener.hold(answer.channels, asked_at=answer.asked_at) as waiting:
                while answer.seconds and await _rings(waiting, gone, until - time.monotonic()):
                    answer = await self._ask(scope, body)
                    if answer.seconds:
                        listener.go_on(waiting, asked_at=answer.asked_at)
        finally:
            gone.cancel()
        return answer

    async def _ask(self, scope: Scope, body: bytes) -> Answer:
        """The application's answer to the same request, once more."""
        async with self._listener().asking:
            answer = Answer()
            await self._application(dict(scope), _replayed(body), answer.take)
        return answer


class Answer:
    """What the application sent, without our headers."""

    def __init__(self) -> None:
        self.asked_at = time.monotonic()
        self.messages: list[Any] = []
        self.channels: list[str] = []
        self.seconds = 0

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]}
            self.channels = headers.get(CHANNELS.lower(), "").split()
            self.seconds = int(headers.get(SECONDS.lower(), 0))
            ours = {CHANNELS.lower().encode(), SECONDS.lower().encode()}
            kept = [(name, value) for name, value in message["headers"] if name.lower() not in ours]
            message = {**message, "headers": kept}
        self.messages.append(message)


def _declines(scope: Scope) -> bool:
    """Whether the caller does not want to wait after all (RFC 7240), such as one that repeats a request."""
    return (b"prefer", b"wait=0") in scope["headers"]


async def _rings(waiting: Waiting, gone: asyncio.Task[None], seconds: float) -> bool:
    """Whether it rang in time, for a caller who still is there."""
    ring = asyncio.create_task(waiting.is_rung.wait())
    try:
        await asyncio.wait({ring, gone}, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        return ring.done() and not gone.done()
    finally:
        ring.cancel()


async def _whole(receive: Receive) -> bytes:
    chunks = []
    while (message := await receive())["type"] == "http.request":
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(chunks)


def _replayed(body: bytes) -> Receive:
    """The request's body, and then nothing: that its caller hung up is noticed elsewhere."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Any:
        return messages.pop() if messages else await asyncio.Future()

    return replayed


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
