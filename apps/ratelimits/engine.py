"""The limiter's clients. All rules of a call are one round trip to Redis; without Redis, this process decides alone.

Neither raises for Redis: while it is away, rules do what their `away` says, and Redis is asked again once a second.
Imports no Django.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import redis.asyncio
import structlog
from redis import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from apps.ratelimits import script
from apps.ratelimits.deciding import key_of
from apps.ratelimits.local import Local
from apps.ratelimits.rules import Decision, Rule, Verdict
from apps.ratelimits.script import Command

TIMEOUT_S = 0.25
ASK_AGAIN_S = 1.0
MOST_OWED = 10_000
REPAID_AT_ONCE = 500

Places = Sequence[tuple[str, str]]

log = structlog.get_logger(__name__)


class _Watch:
    """Whether Redis is worth asking: after a failure, one call a second tries.

    And the places that Redis may still hold for calls that are over or were decided alone. They are freed when it is
    back, so that nobody is refused because of them until their time ends.
    """

    def __init__(self) -> None:
        self._is_away = False
        self._next_try = 0.0
        self._owed: deque[tuple[str, str]] = deque(maxlen=MOST_OWED)

    def owe(self, places: Places) -> None:
        self._owed.extend(places)

    def repaid(self) -> Places:
        """Some of what is owed, for who frees it now."""
        places: list[tuple[str, str]] = []
        with suppress(IndexError):  # another thread took the last one
            while self._owed and len(places) < REPAID_AT_ONCE:
                places.append(self._owed.popleft())
        return places

    def is_worth_asking(self) -> bool:
        if not self._is_away:
            return True
        now = time.monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + ASK_AGAIN_S
        return True

    def failed(self, error: BaseException, places: Places = ()) -> None:
        """Redis may have given the places, or give them yet."""
        self.owe(places)
        if not self._is_away:
            log.warning("limiter_away", error=repr(error))
        self._is_away, self._next_try = True, time.monotonic() + ASK_AGAIN_S

    def answered(self, replies: Sequence[Any]) -> list[Any]:
        """The replies, without errors: Redis is there, and it is one call's keys or its memory that are not well."""
        if self._is_away:
            log.info("limiter_back")
        self._is_away = False
        for error in (reply for reply in replies if isinstance(reply, Exception)):
            log.error("limiter_refused", error=str(error))
            break
        return [None if isinstance(reply, Exception) else reply for reply in replies]


class Limiter:
    """Decides for code that waits: Django, tasks, commands. Threads may share one.

    `clock` is for tests; otherwise Redis' own decides.
    """

    def __init__(self, client: Redis, local: Local | None = None, clock: Callable[[], int] = lambda: 0) -> None:
        self._redis, self._clock = client, clock
        self.local = local or Local()
        self._watch = _Watch()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """With time-outs that a call can afford."""
        options: dict[str, Any] = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
        return cls(Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options))

    def decide(self, rules: Sequence[Rule]) -> Decision:
        """Take from all rules, or from none if one refuses."""
        return self.decide_each([rules])[0]

    def decide_each(self, calls: Sequence[Sequence[Rule]]) -> list[Decision]:
        """Several calls, each decided by itself, one after the other, in one round trip."""
        ids = [_new_id() for _ in calls]
        now_ms = self._clock()
        replies = self._ask([script.decide(rules, id, now_ms) for rules, id in zip(calls, ids, strict=True)])
        return [
            self.local.decide(rules, id) if reply is None else script.decision(reply, rules, id)
            for reply, rules, id in zip(replies, calls, ids, strict=True)
        ]

    def peek(self, rules: Sequence[Rule]) -> list[Verdict]:
        """What each rule would say now, with nothing taken."""
        return self.peek_each([rules])[0]

    def peek_each(self, calls: Sequence[Sequence[Rule]]) -> list[list[Verdict]]:
        """The same for several calls in one round trip."""
        now_ms = self._clock()
        replies = self._ask([script.decide(rules, "", now_ms, "peek") for rules in calls])
        return [
            self.local.peek(rules) if reply is None else script.verdicts(reply, rules)
            for reply, rules in zip(replies, calls, strict=True)
        ]

    def settle(self, decision: Decision, actual: Mapping[int, int]) -> None:
        """The call is over. `actual` is what it used, by the index of the rule; what is not named stays as expected.

        Its places come free. Call it once for each decision. If Redis is away, its places come free when Redis is back
        and the rest is lost, which lets through less.
        """
        if decision.is_local:
            self.local.settle(decision, actual)
        elif (command := script.settle(decision, actual, self._clock())) and self._ask([command]) == [None]:
            self._watch.owe(command.places)

    def release(self, decision: Decision, *, was_made: bool = True) -> None:
        """Free the places of a call that is over. Of one that was not made, give back all that was taken."""
        self.settle(decision, {} if was_made else _nothing(decision))

    def extend(self, decision: Decision) -> bool:
        """Hold the places of a long call for another window. False when one was lost, because its time had ended."""
        if decision.is_local:
            return self.local.extend(decision)
        command = script.extend(decision, self._clock())
        reply = self._ask([command])[0] if command else None
        return reply is None or bool(reply[0])

    def mark(self, name: str, kept_ms: int) -> bool:
        """Set a mark for so long; False if it stood there already. Without Redis each is a new one."""
        return self._tell("SET", name, 1, "PX", max(1, kept_ms), "NX", unknown=True) is not None

    def forget(self, rules: Sequence[Rule]) -> None:
        """Begin anew with all of them."""
        self.local.forget(rules)
        if rules:
            self._tell("DEL", *(key_of(rule) for rule in rules))

    def _tell(self, *words: str | int, unknown: Any = None) -> Any:
        """What Redis answers to a command that is no rule's; `unknown` where it does not."""
        if not self._watch.is_worth_asking():
            return unknown
        try:
            return self._watch.answered([self._redis.execute_command(*words)])[0]
        except ResponseError as error:
            self._watch.answered([error])
        except (RedisError, OSError) as error:
            self._watch.failed(error)
        return unknown

    def _ask(self, commands: Sequence[Command]) -> list[Any]:
        """A reply to each, None where there is none."""
        if self._watch.is_worth_asking():
            try:
                replies = self._watch.answered(self._send(commands))
            except (RedisError, OSError) as error:
                self._watch.failed(error, _places(commands))
            else:
                self._repay()
                return replies
        return [None] * len(commands)

    def _repay(self) -> None:
        if places := self._watch.repaid():
            try:
                _freeing(self._redis.pipeline(transaction=False), places).execute(raise_on_error=False)
            except (RedisError, OSError) as error:
                self._watch.failed(error, places)

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        replies = self._run(commands)
        unknown = _unknown(replies)
        if unknown:
            self._redis.script_load(script.TEXT)
            _fill_in(replies, unknown, self._run([commands[index] for index in unknown]))
        return replies

    def _run(self, commands: Sequence[Command]) -> list[Any]:
        if len(commands) == 1:  # in a pipeline it would take half as long again
            try:
                return [self._redis.execute_command(*commands[0].words)]
            except ResponseError as error:
                return [error]
        with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command.words)
            return pipe.execute(raise_on_error=False)


class AsyncLimiter:
    """Decides for one event loop. What is asked while a round trip is under way shares the next."""

    def __init__(
        self, client: redis.asyncio.Redis, local: Local | None = None, clock: Callable[[], int] = lambda: 0
    ) -> None:
        self._redis, self._clock = client, clock
        self.local = local or Local()
        self._watch = _Watch()
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None
        self._undoing: set[asyncio.Future[None]] = set()

    @classmethod
    def from_url(cls, url: str) -> Self:
        return cls(redis.asyncio.Redis.from_url(url, retry=AsyncRetry(NoBackoff(), 0)))

    async def decide(self, rules: Sequence[Rule]) -> Decision:
        """Take from all rules, or from none if one refuses. If the caller is cancelled meanwhile, all is given back."""
        id = _new_id()
        answer = self._ask(script.decide(rules, id, self._clock()))
        try:
            return self._decision(await asyncio.shield(answer), rules, id)
        except asyncio.CancelledError:
            answer.add_done_callback(lambda done: self._undo(self._decision(done.result(), rules, id)))
            raise

    async def peek(self, rules: Sequence[Rule]) -> list[Verdict]:
        """What each rule would say now, with nothing taken."""
        reply = await self._ask(script.decide(rules, "", self._clock(), "peek"))
        return self.local.peek(rules) if reply is None else script.verdicts(reply, rules)

    async def settle(self, decision: Decision, actual: Mapping[int, int]) -> None:
        """As `Limiter.settle`."""
        if decision.is_local:
            self.local.settle(decision, actual)
        elif (command := script.settle(decision, actual, self._clock())) and await self._ask(command) is None:
            self._watch.owe(command.places)

    async def release(self, decision: Decision, *, was_made: bool = True) -> None:
        """As `Limiter.release`."""
        await self.settle(decision, {} if was_made else _nothing(decision))

    async def extend(self, decision: Decision) -> bool:
        """As `Limiter.extend`."""
        if decision.is_local:
            return self.local.extend(decision)
        command = script.extend(decision, self._clock())
        reply = await self._ask(command) if command else None
        return reply is None or bool(reply[0])

    async def aclose(self) -> None:
        """Wait for what is under way, and close the client."""
        while self.is_busy:
            await asyncio.gather(*self._undoing, *filter(None, [self._sender]), return_exceptions=True)
        await self._redis.aclose()

    @property
    def is_busy(self) -> bool:
        return bool(self._undoing or self._sender)

    def _decision(self, reply: Any, rules: Sequence[Rule], id: str) -> Decision:
        return self.local.decide(rules, id) if reply is None else script.decision(reply, rules, id)

    def _undo(self, decision: Decision) -> None:
        task = asyncio.ensure_future(self.release(decision, was_made=False))
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)

    def _ask(self, command: Command) -> asyncio.Future[Any]:
        """The reply to come, or None."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._watch.is_worth_asking():
            self._waiting.append((command, answer))
            if self._sender is None:
                self._sender = asyncio.create_task(self._send_waiting(), name="ratelimits.sender")
        else:
            answer.set_result(None)
        return answer

    async def _send_waiting(self) -> None:
        """One batch after the other. When one fails, nobody who waits behind it waits for another time-out."""
        batch: list[tuple[Command, asyncio.Future[Any]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                async with asyncio.timeout(TIMEOUT_S):
                    replies = await self._send([command for command, _ in batch])
                for (_, answer), reply in zip(batch, self._watch.answered(replies), strict=True):
                    _tell(answer, reply)
                batch = []
                await self._repay()
        except (RedisError, OSError) as error:
            self._watch.failed(error, _places(command for command, _ in batch))
        finally:
            for _, answer in [*batch, *self._waiting]:
                _tell(answer, None)
            self._waiting, self._sender = [], None

    async def _repay(self) -> None:
        if places := self._watch.repaid():
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await _freeing(self._redis.pipeline(transaction=False), places).execute(raise_on_error=False)
            except (RedisError, OSError):
                self._watch.owe(places)
                raise

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        replies = await self._run(commands)
        unknown = _unknown(replies)
        if unknown:
            await self._redis.script_load(script.TEXT)
            _fill_in(replies, unknown, await self._run([commands[index] for index in unknown]))
        return replies

    async def _run(self, commands: Sequence[Command]) -> list[Any]:
        if len(commands) == 1:
            try:
                return [await self._redis.execute_command(*commands[0].words)]
            except ResponseError as error:
                return [error]
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command.words)
            return await pipe.execute(raise_on_error=False)


def _new_id() -> str:
    return secrets.token_hex(8)


def _nothing(decision: Decision) -> dict[int, int]:
    return dict.fromkeys(range(len(decision.rules)), 0)


def _tell(answer: asyncio.Future[Any], reply: Any) -> None:
    if not answer.done():
        answer.set_result(reply)


def _places(commands: Iterable[Command]) -> list[tuple[str, str]]:
    return [place for command in commands for place in command.places]


def _freeing(pipe: Any, places: Places) -> Any:
    for key, id in places:
        pipe.zrem(key, id)
    return pipe


def _unknown(replies: Iterable[Any]) -> list[int]:
    """Where Redis did not know the script: it was restarted or flushed."""
    return [index for index, reply in enumerate(replies) if isinstance(reply, NoScriptError)]


def _fill_in(replies: list[Any], places: Sequence[int], late: Sequence[Any]) -> None:
    for index, reply in zip(places, late, strict=True):
        replies[index] = reply
