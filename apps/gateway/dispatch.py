"""Sends a call to the targets of its route until one answers. Imports no Django.

An attempt has two parts. Opening it ends with the first piece of an answer, and nothing of it has gone to the caller:
until then another target can take its place. Delivering it cannot be undone.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json
from yarl import URL

from apps.core.edge import Answer, Call, ClientGone, Sent, json_answer
from apps.core.errors import DomainError
from apps.core.outbound.wire import Request, Response, Trouble, Wire, WireError
from apps.costs import pricing
from apps.gateway import retries, routing
from apps.gateway.breakers import COUNTED
from apps.gateway.configuration import Route, Target, Upstream
from apps.gateway.dialects import failures
from apps.gateway.dialects.errors import NoFace
from apps.gateway.dialects.failures import Failure
from apps.gateway.dialects.readings import READINGS, InferReading, Reading
from apps.gateway.dialects.sse import Malformed, Parser
from apps.gateway.dialects.translations import StreamTranslation, Translation, translation
from apps.gateway.enums import PASSING, ErrorClass, Face, Kind
from apps.gateway.exchange import Attempt, Exchange
from apps.gateway.refusals import NoTarget, UpstreamFailed
from apps.gateway.routing import Asking, Standing
from apps.gateway.sending import COOLED_S, SET_ASIDE_S, Keys, dialect_of, fields_of, speaks, url_of

MOST_STANDINGS = 20_000
COUNTING_S = 5.0
WATCHED_AFTER_S = 1.0  # a caller who waits longer is looked after, and so is what is paid for nobody
JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
TROUBLES = {
    Trouble.REFUSED: ErrorClass.UNREACHABLE,
    Trouble.UNREACHABLE: ErrorClass.UNREACHABLE,
    Trouble.TIMEOUT: ErrorClass.TIMEOUT,
    Trouble.BROKEN: ErrorClass.BROKEN,
    Trouble.TOO_LARGE: ErrorClass.BROKEN,
}
# The same target may do better a moment later; of the others only another one.
TRANSIENT = PASSING - {ErrorClass.KEY_REFUSED, ErrorClass.NOT_FOUND}

Clock = Callable[[], float]
Deploy = Callable[[Call, str], Awaitable[Answer]]


@dataclass(slots=True)
class Opened:
    """An attempt that has begun to be answered. A whole answer has `body`, a stream the rest."""

    attempt: Attempt
    reading: Reading
    body: bytes = b""
    response: Response | None = None
    pieces: AsyncIterator[bytes] | None = None
    parser: Parser = field(default_factory=Parser)
    translated: StreamTranslation | None = None
    waiting: list[bytes] = field(default_factory=list)


class Dispatcher:
    """The last step of a model's call. What it has seen of upstreams outlives snapshots, and is bounded."""

    def __init__(self, wire: Wire, keys: Keys, deploy: Deploy, count: Callable[[Exchange, str], Any], llm: str) -> None:
        self._wire, self._keys, self._deploy, self._count = wire, keys, deploy, count
        self._llm = URL(llm) if llm else None
        self._standings: OrderedDict[tuple[str, ...], Standing] = OrderedDict()
        self._budgets: OrderedDict[str, retries.Budget] = OrderedDict()

    async def __call__(self, call: Call) -> Answer:
        exchange: Exchange = call.context
        opened = await self._watched(call, self._opened(call, exchange))
        if isinstance(opened, Answer):
            return opened
        exchange.target = opened.attempt.target
        return await self._deliver(call, exchange, opened)

    async def count(self, call: Call) -> Answer:
        """How many tokens a call has, as the provider counts them if it does, and otherwise estimated."""
        exchange: Exchange = call.context
        told = await self._counted(call, exchange)
        return json_answer({"input_tokens": exchange.input_estimate} if told is None else told)

    async def _counted(self, call: Call, exchange: Exchange) -> Any:
        targets = routing.fitting(_route(exchange), _asking(call, exchange))
        target = next((one for one in targets if one.upstream and one.upstream.kind == Kind.ANTHROPIC), None)
        if target is None:
            return None
        attempt = Attempt(target, asyncio.get_running_loop().time())
        request = self._request(call, exchange, attempt, translation(Face.MESSAGES, Face.MESSAGES), Face.MESSAGES)
        request.url = request.url / "count_tokens"
        request.first_byte_s = request.idle_s = COUNTING_S
        try:
            response = await self._wire.send(request)
            told = await response.read()
        except WireError:
            return None
        return from_json(told) if response.status == 200 else None

    def is_ready(self, route: Route) -> bool:
        """Whether somebody would be asked now."""
        now = asyncio.get_running_loop().time()
        return any(self.standing(target).is_available(now) for target in route.targets)

    def standing(self, target: Target) -> Standing:
        """What this process has seen of whom the target leads to."""
        return self.standing_of(target.upstream) if target.upstream else self._standing(target.id, target.deployment)

    def standing_of(self, upstream: Upstream) -> Standing:
        """What this process has seen of the server that the upstream names now."""
        standing = self._standing(upstream.id, upstream.address)
        standing.upstream = upstream
        return standing

    def base_of(self, upstream: Upstream) -> URL:
        """Where it is. Raises WireError if that is nowhere."""
        base = self._llm if upstream.kind == Kind.LOCAL else upstream.base_url
        if base is None:
            raise WireError(Trouble.UNREACHABLE, "the local model is not running here", was_sent=False)
        return base

    def standings(self) -> Iterable[Standing]:
        return self._standings.values()

    def _standing(self, *key: str) -> Standing:
        standing = self._standings.get(key)
        if standing is None:
            standing = self._standings[key] = Standing()
            if len(self._standings) > MOST_STANDINGS:
                self._standings.popitem(last=False)
        return standing

    async def _watched(self, call: Call, work: Awaitable[Any]) -> Opened | Answer:
        """The work's result, unless the caller closes before. Only calls that take long are watched."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        watchers: list[asyncio.Task[None]] = []
        is_gone = is_over = False

        def watch() -> None:
            watcher = asyncio.ensure_future(call.reply.until_gone())
            watcher.add_done_callback(give_up)
            watchers.append(watcher)

        def give_up(watcher: asyncio.Task[None]) -> None:
            nonlocal is_gone
            if not is_over and not watcher.cancelled():
                is_gone = True
                task.cancel()

        timer = asyncio.get_running_loop().call_later(WATCHED_AFTER_S, watch)
        try:
            return await work
        except asyncio.CancelledError:
            if is_gone and not task.uncancel():
                raise ClientGone from None
            raise
        finally:
            is_over = True
            timer.cancel()
            for watcher in watchers:
                watcher.cancel()

    async def _opened(self, call: Call, exchange: Exchange) -> Opened | Answer:
        """The first attempt that is answered. Raises UpstreamFailed, in the last provider's words."""
        clock = asyncio.get_running_loop().time
        route = _route(exchange)
        budget = self._budget(route)
        budget.earn(clock())
        deadline = clock() + route.deadline_s
        asking = _asking(call, exchange)
        candidates = _able(route, exchange.face, asking)
        failure: Failure | None = None
        while len(exchange.attempts) < route.attempts:
            tried = [attempt.target for attempt in exchange.attempts]
            target = self._next(route, candidates, tried, failure, asking, clock())
            if target is None:
                break
            if failure is not None and not await self._may_retry(budget, target, tried, failure, deadline):
                break
            outcome = await self._hedged(call, exchange, target, deadline, route, candidates, asking)
            if not isinstance(outcome, Failure):
                return outcome
            failure = outcome
        if failure is None and not candidates:
            raise NoTarget(name=route.name)
        if failure is None:
            failure = self._nobody(route, candidates, clock())
        exchange.error_class = failure.error_class
        raise UpstreamFailed(failure)

    def _next(
        self,
        route: Route,
        candidates: Sequence[Target],
        tried: Sequence[Target],
        failure: Failure | None,
        asking: Asking,
        now: float,
    ) -> Target | None:
        """Whom to try next: first others of the lowest tier, then of later tiers, then those that failed in passing."""
        fresh = [target for target in candidates if target not in tried and _takes(target, tried, failure)]
        if not fresh and failure is not None and failure.error_class in TRANSIENT:
            fresh = [target for target in candidates if target in tried]
        if not fresh:
            return None
        first = fresh[0].tier
        available = [target for target in fresh if self.standing(target).is_available(now)]
        # Whom nobody may call now is passed over as if it had just said that it has too much to do.
        instead = [one for one in available if one.tier == first or _takes_on(one, ErrorClass.OVERLOADED)]
        of_tier = [target for target in instead if target.tier == instead[0].tier]
        return routing.choose(route.strategy, of_tier, self.standing, asking, _input_price, now)

    def _nobody(self, route: Route, candidates: Sequence[Target], now: float) -> Failure:
        """Nobody may be asked now: their breakers are open, or they have as many calls as they take at once."""
        wait = min(self.standing(target).opens_in(now) for target in candidates)
        said = f"Who answers for {route.name} failed lately or has all the calls that it takes. Try again in a moment."
        return Failure(ErrorClass.OVERLOADED, 0, said, retry_after_s=wait)

    async def _may_retry(
        self, budget: retries.Budget, target: Target, tried: Sequence[Target], failure: Failure, deadline: float
    ) -> bool:
        """Wait for the next attempt's turn; whether there is one."""
        now = asyncio.get_running_loop().time()
        if target not in tried:
            return budget.spend(now)
        upstream = target.upstream if failure.error_class == ErrorClass.RATE_LIMITED else None
        has_another_key = upstream is not None and self._keys.has_another(upstream, now)
        wait = 0.0 if has_another_key else retries.wait_s(tried.count(target) - 1, failure.retry_after_s)
        if now + wait >= deadline or not budget.spend(now):
            return False
        await asyncio.sleep(wait)
        return True

    async def _hedged(
        self,
        call: Call,
        exchange: Exchange,
        target: Target,
        deadline: float,
        route: Route,
        candidates: Sequence[Target],
        asking: Asking,
    ) -> Opened | Answer | Failure:
        """An attempt, with another one beside it if it is slow and the route wants that: the first answer counts."""
        first = self._attempt(call, exchange, target, deadline)
        if route.hedge_after_s is None or len(candidates) < 2:
            return await first
        tasks: set[asyncio.Future[Any]] = {asyncio.ensure_future(first)}
        try:
            done, _ = await asyncio.wait(tasks, timeout=route.hedge_after_s)
            now = asyncio.get_running_loop().time()
            tried = [attempt.target for attempt in exchange.attempts]
            others = [one for one in candidates if one not in tried and self.standing(one).is_available(now)]
            other = None if done else routing.choose(route.strategy, others, self.standing, asking, _input_price, now)
            if other is not None and self._budget(route).spend(now):
                tasks.add(asyncio.ensure_future(self._attempt(call, exchange, other, deadline, is_hedge=True)))
            return await _first_answer(tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _attempt(
        self, call: Call, exchange: Exchange, target: Target, deadline: float, *, is_hedge: bool = False
    ) -> Opened | Answer | Failure:
        """One attempt, recorded and told to who keeps count of its upstream."""
        clock = asyncio.get_running_loop().time
        attempt = Attempt(target, clock(), is_hedge=is_hedge)
        exchange.attempts.append(attempt)
        standing = self.standing(target)
        standing.breaker.pass_one(attempt.started)
        standing.health.in_flight += 1
        standing.called_at = attempt.started
        outcome: Opened | Answer | Failure | None = None
        try:
            outcome = await self._open(call, exchange, attempt, deadline)
        except WireError as error:
            outcome = Failure(TROUBLES[error.trouble], 0, failures.masked(str(error)))
        except Malformed as error:
            outcome = Failure(ErrorClass.BROKEN, attempt.status, str(error))
        finally:
            standing.health.in_flight -= 1
            attempt.took_s = clock() - attempt.started
            self._judge(standing, attempt, outcome, clock())
        return outcome

    def _judge(self, standing: Standing, attempt: Attempt, outcome: Any, now: float) -> None:
        if not isinstance(outcome, Failure):
            if outcome is None:
                attempt.message = attempt.message or "given up"
                standing.breaker.give_up()
            else:
                standing.breaker.succeed(now)
                standing.health.succeed(attempt.took_s, now)
            return
        attempt.error_class, attempt.message = outcome.error_class, outcome.message
        standing.failures.note(outcome.error_class, now)
        if outcome.error_class in COUNTED:
            standing.breaker.fail(now)
            standing.health.fail(now, is_unreachable=False)
        else:
            standing.breaker.succeed(now)
        if attempt.key_id and outcome.error_class == ErrorClass.RATE_LIMITED:
            self._keys.rest(attempt.key_id, now + (outcome.retry_after_s or COOLED_S))
        elif attempt.key_id and outcome.error_class == ErrorClass.KEY_REFUSED:
            self._keys.rest(attempt.key_id, now + SET_ASIDE_S)

    async def _open(
        self, call: Call, exchange: Exchange, attempt: Attempt, deadline: float
    ) -> Opened | Answer | Failure:
        target, route = attempt.target, _route(exchange)
        if target.upstream is None:
            return await self._deployed(call, exchange, attempt)
        kind = target.upstream.kind
        dialect = dialect_of(kind, exchange.face)
        translated = translation(exchange.face, dialect)
        request = self._request(call, exchange, attempt, translated, dialect)
        request.first_byte_s, request.idle_s, request.deadline = route.first_byte_s, route.idle_s, deadline
        response = await self._wire.send(request)
        attempt.status = response.status
        if not 200 <= response.status < 300:
            return failures.of_answer(response.status, response.headers, await response.read())
        reading = READINGS[dialect]()
        if exchange.is_stream:
            return await _opened_stream(exchange, attempt, reading, response, translated)
        return _opened_whole(attempt, reading, await response.read(), translated)

    def _request(
        self, call: Call, exchange: Exchange, attempt: Attempt, translated: Translation, dialect: Face
    ) -> Request:
        upstream = attempt.target.upstream
        assert upstream is not None  # noqa: S101
        key = self._keys.next(upstream, attempt.started)
        attempt.key_id = key.id if key else ""
        is_local = upstream.kind == Kind.LOCAL
        base = self.base_of(upstream)
        target = attempt.target
        url = url_of(base, target.model, upstream.kind, dialect, exchange.is_stream, upstream.api_version)
        fields = fields_of(upstream, self._keys.secret(upstream, key), call.headers)
        body = to_json(translated.request(exchange.body, target.model)) if dialect != Face.INFER else exchange.raw
        return Request("POST", url, fields, body, is_trusted=is_local)

    async def _deployed(self, call: Call, exchange: Exchange, attempt: Attempt) -> Answer | Failure:
        """One of the organization's own deployments, which balances and retries by itself."""
        try:
            answer = await self._deploy(call, attempt.target.deployment)
        except DomainError as error:
            attempt.status = error.status
            if error.status < 500:
                raise
            return Failure(ErrorClass.OVERLOADED, error.status, error.message, error.code)
        attempt.status = answer.status
        exchange.target, exchange.cost = attempt.target, 0  # our own machine, which is metered by itself
        return answer

    async def _deliver(self, call: Call, exchange: Exchange, opened: Opened) -> Answer:
        if opened.translated is None:
            exchange.first_token_ns = time.perf_counter_ns()
            self._count_tokens(exchange, opened.reading)
            for tee in exchange.tee:
                tee(opened.body)
            return Answer(200, list(JSON), opened.body)
        try:
            await self._stream(call, exchange, opened)
        except ClientGone:
            exchange.error_code = ClientGone.code
            return Sent(ClientGone.status, [], b"")
        finally:
            if opened.response:
                opened.response.close()
            self._count_tokens(exchange, opened.reading)
        return Sent(200, [], b"")

    async def _stream(self, call: Call, exchange: Exchange, opened: Opened) -> None:
        """Send what waits and what comes. A failure now can only be told in the stream."""
        await call.reply.begin(200, list(EVENTS))
        exchange.first_token_ns = time.perf_counter_ns()
        failure: Failure | None = None
        try:
            await _send(call, exchange, opened.waiting)
            assert opened.pieces is not None  # noqa: S101
            async for piece in opened.pieces:
                failure = await _pass_on(call, exchange, opened, piece)
                if failure:
                    break
            if failure is None and not opened.parser.is_between:
                failure = Failure(ErrorClass.BROKEN, 0, "the answer was cut in the middle")
        except WireError as error:
            failure = Failure(TROUBLES[error.trouble], 0, failures.masked(str(error)))
        except Malformed as error:
            failure = Failure(ErrorClass.BROKEN, 0, str(error))
        if failure is None:
            assert opened.translated is not None  # noqa: S101
            await _send(call, exchange, opened.translated.end())
            return
        exchange.error_class, exchange.error_code = failure.error_class, f"upstream_{failure.error_class}"
        opened.attempt.error_class, opened.attempt.message = failure.error_class, failure.message
        with suppress(ClientGone):
            await call.reply.send(_error_event(call, exchange, UpstreamFailed(failure)))

    def _count_tokens(self, exchange: Exchange, reading: Reading) -> None:
        exchange.tokens = reading.tokens or self._count(exchange, reading.text())

    def _budget(self, route: Route) -> retries.Budget:
        budget = self._budgets.get(route.id)
        if budget is None:
            budget = self._budgets[route.id] = retries.Budget()
            if len(self._budgets) > MOST_STANDINGS:
                self._budgets.popitem(last=False)
        return budget


def _route(exchange: Exchange) -> Route:
    assert exchange.route is not None  # noqa: S101 - found before anything is dispatched
    return exchange.route


def _able(route: Route, face: Face, asking: Asking) -> list[Target]:
    """The targets that take the call and can be asked it. Raises NoFace if none of those that take it can."""
    taking = routing.fitting(route, asking)
    able = [target for target in taking if speaks(target, face)]
    if taking and not able:
        upstream = taking[0].upstream
        raise NoFace(dialect=dialect_of(upstream.kind, face) if upstream else Face.INFER)
    return able


def _asking(call: Call, exchange: Exchange) -> Asking:
    user = exchange.body.get("user")
    caller = user if isinstance(user, str) and user else call.headers.get(b"x-session-id", b"").decode("latin-1")
    return Asking(
        call.headers,
        exchange.input_estimate,
        exchange.is_stream,
        time.time(),
        caller or call.token_id or call.user_id or call.client,
    )


def _takes(target: Target, tried: Sequence[Target], failure: Failure | None) -> bool:
    """Whether the target may be next after that failure: one of a later tier says itself what it is for."""
    if failure is None:
        return True
    is_later = target.tier > max(one.tier for one in tried)
    return _takes_on(target, failure.error_class) if is_later else failure.error_class in PASSING


def _takes_on(target: Target, error_class: ErrorClass) -> bool:
    """Whether a target of a later tier is for what failed so."""
    return error_class in (target.on or PASSING)


def _input_price(target: Target) -> int | None:
    """What a million tokens of input and of output cost at the least, by which targets are ordered."""
    current = pricing.in_force(target.prices, time.time())
    if current is None:
        return None
    parts = [current.get("input"), current.get("output")]
    return None if None in parts else sum(_lowest(part) for part in parts)


def _lowest(price: Any) -> int:
    return int(price[0][1] if isinstance(price, list) else price)


async def _first_answer(tasks: set[asyncio.Future[Any]]) -> Any:
    """The first result that is no failure, or the last failure."""
    waiting, outcome = set(tasks), None
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            outcome = task.result()
            if not isinstance(outcome, Failure):
                return outcome
    return outcome


def _opened_whole(attempt: Attempt, reading: Reading, body: bytes, translated: Translation) -> Opened | Failure:
    try:
        told = from_json(body)
    except ValueError:
        raise Malformed("the answer is no JSON") from None
    if not isinstance(told, dict) and not isinstance(reading, InferReading):
        raise Malformed("the answer is no object")
    reading.whole(told)
    if reading.failure:
        return reading.failure
    return Opened(attempt, reading, body if translated.is_identity else to_json(translated.answer(told)))


async def _opened_stream(
    exchange: Exchange, attempt: Attempt, reading: Reading, response: Response, translated: Translation
) -> Opened | Failure:
    """A stream up to the first event that holds something of the answer."""
    if not dict(response.headers).get(b"content-type", b"").lower().startswith(b"text/event-stream"):
        whole = _opened_whole(attempt, reading, await response.read(), translated)
        return whole if isinstance(whole, Failure) else Failure(ErrorClass.BROKEN, 200, "it does not stream")
    opened = Opened(attempt, reading, response=response, translated=translated.stream(exchange.body))
    opened.pieces = response.pieces()
    try:
        async for piece in opened.pieces:
            for event in opened.parser.feed(piece):
                reading.feed(event)
                if reading.failure:
                    response.close()
                    return reading.failure
                opened.waiting += opened.translated.feed(event, reading)  # type: ignore[union-attr]
            if reading.has_content:
                return opened
    except BaseException:
        response.close()
        raise
    if not reading.is_finished:
        return Failure(ErrorClass.BROKEN, 200, "the answer ended before it began")
    return opened


async def _pass_on(call: Call, exchange: Exchange, opened: Opened, piece: bytes) -> Failure | None:
    """Send on what a piece of the upstream's stream means; a failure that it tells is not sent."""
    translated, reading = opened.translated, opened.reading
    assert translated is not None  # noqa: S101
    found: list[bytes] = []
    for event in opened.parser.feed(piece):
        reading.feed(event)
        if reading.failure:
            break
        found += translated.feed(event, reading)
    await _send(call, exchange, found)
    return reading.failure


async def _send(call: Call, exchange: Exchange, found: list[bytes]) -> None:
    if not found:
        return
    piece = found[0] if len(found) == 1 else b"".join(found)
    for tee in exchange.tee:
        tee(piece)
    await call.reply.send(piece)


def _error_event(call: Call, exchange: Exchange, error: DomainError) -> bytes:
    """The end of a stream that failed, as the face's clients read it."""
    body = call.refusal(error, call.request_id).body
    if exchange.face == Face.MESSAGES:
        return b"event: error\ndata: %b\n\n" % body
    return b"data: %b\n\n" % body
