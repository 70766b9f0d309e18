"""How upstreams do: what each process of the data plane sees of them, and what asking them regularly says.

Both are in Redis for whoever wants to look. Nobody waits for it, and while Redis is away nothing is told. Imports no
Django: the data plane writes it.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.core.edge import Snapshot
from apps.core.outbound.wire import Request, Wire, WireError
from apps.gateway.breakers import COUNTED, State
from apps.gateway.configuration import SECTION, Upstream, upstream_of
from apps.gateway.dialects import failures
from apps.gateway.dialects.failures import Failure
from apps.gateway.dispatch import TROUBLES, Dispatcher
from apps.gateway.enums import Kind
from apps.gateway.routing import Standing
from apps.gateway.sending import Keys, fields_of, health_url

PROCESSES = "gateway:processes"  # when each was last there
VIEWS = "gateway:{organization_id}:health"  # of an organization's upstreams, by process
CHECKS = "gateway:{organization_id}:checks"  # what asking them said last, by upstream
LOCK = "gateway:check:{upstream_id}"
WRITTEN_EVERY_S = 1.0
SILENT_AFTER_S = 5.0
SHOWN_S = 600.0  # after the last call
AGAIN_S = 300.0  # what has not changed is written again, before it expires
CHECK_KEPT_S = 86_400
CHECK_S = 5.0
MOST_CHECK_BYTES = 100_000
MOST_CHECKS = 50  # at once, of one process
WORST_FIRST = (State.OPEN, State.HALF_OPEN, State.CLOSED)

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Checked:
    """What an upstream's health path said. `at` is in seconds of the epoch, `error_class` empty if it is well."""

    at: float
    status: int = 0
    took_ms: int = 0
    error_class: str = ""
    message: str = ""

    @property
    def is_ok(self) -> bool:
        return not self.error_class


@dataclass(slots=True)
class Seen:
    """What processes see of an upstream: the worst state, the sums, the slowest of their moving averages.

    `open_until` and the ends of `resting`, by id of key, are seconds of the epoch. `failures` are of five minutes.
    """

    processes: int = 0
    breaker: State = State.CLOSED
    open_until: float | None = None
    in_flight: int = 0
    latency_ms: float | None = None
    failures: dict[str, int] = field(default_factory=dict)
    resting: dict[str, float] = field(default_factory=dict)
    check: Checked | None = None


class Publisher:
    """Writes what this process sees of the upstreams that it called lately and that are still there."""

    def __init__(
        self,
        redis: Redis,
        standings: Callable[[], Iterable[Standing]],
        keys: Keys,
        snapshot: Callable[[str], Snapshot | None],
    ) -> None:
        self._redis, self._standings, self._keys, self._snapshot = redis, standings, keys, snapshot
        self._process = uuid.uuid4().hex
        self._written: dict[str, tuple[str, float]] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(WRITTEN_EVERY_S)
            with suppress(RedisError, OSError):
                await self.publish()

    async def publish(self) -> None:
        now, at = asyncio.get_running_loop().time(), time.time()
        views = {organization_id: json.dumps(view) for organization_id, view in self._views(now, at).items()}
        self._written = {one: written for one, written in self._written.items() if one in views}
        changed = [one for one, view in views.items() if self._is_news(one, view, at)]
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.zadd(PROCESSES, {self._process: at})
            pipe.zremrangebyscore(PROCESSES, "-inf", at - SHOWN_S)
            for organization_id in changed:
                key = VIEWS.format(organization_id=organization_id)
                pipe.hset(key, self._process, views[organization_id])
                pipe.expire(key, int(SHOWN_S))
            await pipe.execute()
        self._written |= {one: (views[one], at) for one in changed}

    async def withdraw(self) -> None:
        """This process ends, and what it saw with it."""
        with suppress(RedisError, OSError):
            await self._redis.zrem(PROCESSES, self._process)

    def _is_news(self, organization_id: str, view: str, at: float) -> bool:
        written, written_at = self._written.get(organization_id, ("", 0.0))
        return view != written or at - written_at > AGAIN_S

    def _views(self, now: float, at: float) -> dict[str, dict[str, Any]]:
        views: dict[str, dict[str, Any]] = {}
        called = [standing for standing in self._standings() if now - standing.called_at < SHOWN_S]
        # One that has moved was called at both addresses: the newer one is told.
        for standing in sorted(called, key=lambda one: one.called_at):
            upstream = standing.upstream
            if upstream is not None and self._is_there(upstream):
                view = _view(standing, self._keys.resting(upstream, now), now, at)
                views.setdefault(upstream.organization_id, {})[upstream.id] = view
        return views

    def _is_there(self, upstream: Upstream) -> bool:
        """Nothing is written of what was deleted, nor of an organization that was erased."""
        snapshot = self._snapshot(upstream.organization_id)
        return snapshot is not None and upstream.id in snapshot.sections.get(SECTION, {}).get("upstreams", {})


def _view(standing: Standing, resting: Mapping[str, float], now: float, at: float) -> dict[str, Any]:
    breaker = standing.breaker
    return {
        "breaker": breaker.state(now),
        "open_until": round(at + breaker.open_until - now, 1) if breaker.openings else None,
        "in_flight": standing.health.in_flight,
        "latency_ms": round(standing.health.latency_s * 1000, 1) if standing.health.observed_at else None,
        "failures": standing.failures.lately(now),
        "resting": {key_id: round(at + wait) for key_id, wait in resting.items()},
    }


class Checker:
    """Asks upstreams that have a health path, each by one process at a time, and tells this process's breakers."""

    def __init__(
        self, redis: Redis, wire: Wire, dispatcher: Dispatcher, keys: Keys, snapshots: Callable[[], Iterable[Snapshot]]
    ) -> None:
        self._redis, self._wire, self._dispatcher, self._keys = redis, wire, dispatcher, keys
        self._snapshots = snapshots
        self._due: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._room = asyncio.Semaphore(MOST_CHECKS)
        self._checks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            self._start_due(asyncio.get_running_loop().time())
            await asyncio.sleep(WRITTEN_EVERY_S)

    def close(self) -> None:
        for task in self._checks:
            task.cancel()

    def _start_due(self, now: float) -> None:
        due: dict[str, float] = {}
        for snapshot in list(self._snapshots()):
            for upstream_id, told in snapshot.sections.get(SECTION, {}).get("upstreams", {}).items():
                if told["health"] is None:
                    continue
                interval = told["health"]["interval_s"]
                # From the first look on apart, so that processes and upstreams are not asked together.
                at = self._due.get(upstream_id, now + random.random() * interval)  # noqa: S311
                if at <= now:
                    at = now + interval * random.uniform(0.9, 1.1)  # noqa: S311
                    self._start(upstream_of(snapshot.organization_id, upstream_id, told))
                due[upstream_id] = min(at, now + 1.1 * interval)
        self._due = due
        self._heard = {one: at for one, at in self._heard.items() if one in due}

    def _start(self, upstream: Upstream) -> None:
        task = asyncio.create_task(self._check(upstream), name="upstream-check")
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    async def _check(self, upstream: Upstream) -> None:
        async with self._room:
            with suppress(RedisError, OSError):
                self._hear(upstream, await self._checked(upstream))

    async def _checked(self, upstream: Upstream) -> Checked | None:
        """What asking it says, or what another process heard when it asked last."""
        key = CHECKS.format(organization_id=upstream.organization_id)
        lock = LOCK.format(upstream_id=upstream.id)
        if not await self._redis.set(lock, 1, nx=True, px=int(upstream.health_interval_s * 800)):
            return _read_check(await cast("Awaitable[bytes | None]", self._redis.hget(key, upstream.id)))
        checked = await self._ask(upstream)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(key, upstream.id, json.dumps(asdict(checked)))
            pipe.expire(key, CHECK_KEPT_S)
            await pipe.execute()
        return checked

    async def _ask(self, upstream: Upstream) -> Checked:
        clock = asyncio.get_running_loop().time
        started = clock()
        failure: Failure | None = None
        status = 0
        try:
            request = self._request(upstream, started)
            response = await self._wire.send(request)
            status, body = response.status, await response.read()
            if not 200 <= status < 300:
                failure = failures.of_answer(status, response.headers, body)
        except WireError as error:
            failure = Failure(TROUBLES[error.trouble], 0, failures.masked(str(error)))
        checked = Checked(time.time(), status, round((clock() - started) * 1000))
        if failure:
            checked.error_class, checked.message = failure.error_class.value, failure.message
        return checked

    def _request(self, upstream: Upstream, now: float) -> Request:
        is_local = upstream.kind == Kind.LOCAL
        base = self._dispatcher.base_of(upstream)
        key = upstream.keys[0] if upstream.keys else None
        fields = fields_of(upstream, self._keys.secret(upstream, key), {})
        request = Request("GET", health_url(base, upstream), fields, is_trusted=is_local)
        request.connect_s = request.first_byte_s = request.idle_s = CHECK_S
        request.deadline, request.max_bytes = now + 2 * CHECK_S, MOST_CHECK_BYTES
        return request

    def _hear(self, upstream: Upstream, checked: Checked | None) -> None:
        """A check that fails counts like a call; one that passes is the probe of a breaker that waits for one."""
        if checked is None or checked.at <= self._heard.get(upstream.id, 0.0):
            return
        self._heard[upstream.id] = checked.at
        now = asyncio.get_running_loop().time()
        breaker = self._dispatcher.standing_of(upstream).breaker
        if checked.error_class in COUNTED:
            breaker.fail(now)
        elif checked.is_ok and breaker.openings and breaker.may_pass(now):
            breaker.succeed(now)


def read(redis: Any, organization_id: str) -> dict[str, Seen]:
    """What is seen of the organization's upstreams, by id. For the control plane, with a client that waits."""
    now = time.time()
    with redis.pipeline(transaction=False) as pipe:
        pipe.zrangebyscore(PROCESSES, now - SILENT_AFTER_S, "+inf")
        pipe.hgetall(VIEWS.format(organization_id=organization_id))
        pipe.hgetall(CHECKS.format(organization_id=organization_id))
        alive, views, checks = pipe.execute()
    seen: dict[str, Seen] = {}
    for process in set(alive) & views.keys():
        for upstream_id, view in json.loads(views[process]).items():
            _add(seen.setdefault(upstream_id, Seen()), view, now)
    for upstream_id, told in checks.items():
        seen.setdefault(upstream_id.decode(), Seen()).check = _read_check(told)
    return seen


def _add(seen: Seen, view: Mapping[str, Any], now: float) -> None:
    state, until = State(view["breaker"]), view["open_until"]
    if state == State.OPEN and until <= now:
        state = State.HALF_OPEN
    seen.processes += 1
    seen.breaker = min(seen.breaker, state, key=WORST_FIRST.index)
    if state == State.OPEN:
        seen.open_until = max(seen.open_until or 0.0, until)
    seen.in_flight += view["in_flight"]
    if view["latency_ms"] is not None:
        seen.latency_ms = max(seen.latency_ms or 0.0, view["latency_ms"])
    for error_class, count in view["failures"].items():
        seen.failures[error_class] = seen.failures.get(error_class, 0) + count
    for key_id, end in view["resting"].items():
        if end > now:
            seen.resting[key_id] = max(seen.resting.get(key_id, -math.inf), end)


def _read_check(told: bytes | None) -> Checked | None:
    return Checked(**json.loads(told)) if told else None
