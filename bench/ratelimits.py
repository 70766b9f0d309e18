"""The limiter beside the library `limits`, on the same Redis in one run: a call with five rules, and its headers.

Ours is one decision. Of `limits` it is `hit` and `get_window_stats` of each rule, which is what headers need, by the
strategy that promises the same (its moving window, our `window`) and by its simplest (fixed window, our `gcra`). All
use redis-py with hiredis. Short rounds take turns, the first is dropped, a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import asyncio
import random
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import limits
import redis
import redis.asyncio
from limits.aio import storage as aio_storage
from limits.aio import strategies as aio_strategies
from limits.storage import RedisStorage

from apps.core.edge import Answer, Call, Snapshot
from apps.ratelimits import edge
from apps.ratelimits.deciding import key_of
from apps.ratelimits.engine import AsyncLimiter, Limiter
from apps.ratelimits.matching import MOST_SUBJECTS
from apps.ratelimits.rules import Algorithm, Rule
from apps.ratelimits.seen import Recorder
from bench.report import Row
from bench.serving import start_valkey

ROUNDS, STAGE_ROUNDS, ROUND_S, CLIENTS = 31, 7, 0.3, 16
SUBJECTS = 1_000
SUBJECT_NAMES = ("address", "token", "user", "organization", "route")
ITEMS = [limits.RateLimitItemPerMinute(100, namespace=name) for name in SUBJECT_NAMES]
PAIRS = {Algorithm.WINDOW: "moving-window", Algorithm.GCRA: "fixed-window"}
PEER = "limits, {}"


@dataclass(frozen=True)
class Round:
    """What one target did in one round. CPU is that of this process and of Redis."""

    per_s: float
    p50_us: float
    cpu_us: float


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-ratelimits-") as folder, ExitStack() as stack:
        url = start_valkey(stack, Path(folder))
        rows = []
        for algorithm, strategy in PAIRS.items():
            alone = _compared(lambda side, a=algorithm, s=strategy: _alone(url, side, a, s))
            rows += _rows(f"{algorithm}, one client", PEER.format(strategy), alone, 5.0)
            sides = {"ours": partial(_our_loop, algorithm=algorithm), "limits": partial(_their_loop, strategy=strategy)}
            together = _compared(lambda side, by=sides: asyncio.run(_through(url, by[side], CLIENTS)))
            rows += _rows(f"{algorithm}, {CLIENTS} at once", PEER.format(strategy), together, 5.0)
        return [*rows, *_stage(url), *_memory(url)]


def _compared(one_round: Callable[[str], Round]) -> list[dict[str, Round]]:
    rounds = []
    for number in range(ROUNDS):
        order = ["ours", "limits"] if number % 2 else ["limits", "ours"]
        rounds.append({side: one_round(side) for side in order})
    return rounds[1:]


def _rows(what: str, peer: str, rounds: list[dict[str, Round]], bar: float) -> list[Row]:
    found = []
    for name, field, unit, limit in (
        ("decisions", "per_s", "/s", bar),
        ("p50", "p50_us", "us", None),
        ("CPU", "cpu_us", "us/call", None),
    ):
        ours, peers = ([getattr(one[side], field) for one in rounds] for side in ("ours", "limits"))
        ratio = median(value / other for value, other in zip(ours, peers, strict=True))
        said, met = (f">= {limit}", ratio >= limit) if limit else ("", None)
        found.append(Row(f"{what}, {name}", median(ours), unit, peer, median(peers), ratio, said, met))
    return found


def _rules(algorithm: Algorithm, subject: str) -> list[Rule]:
    return [_rule(f"limits:{{acme}}:{name}", name, subject, algorithm) for name in SUBJECT_NAMES]


def _rule(stem: str, name: str, subject: str, algorithm: Algorithm) -> Rule:
    bound = {"stem": len(stem), "most_subjects": MOST_SUBJECTS // len(SUBJECT_NAMES)}
    return Rule(f"{stem}:{subject}", name, algorithm, limit=100, window_ms=60_000, burst=100, **bound)


def _subjects() -> Iterator[str]:
    while True:
        yield str(random.randrange(SUBJECTS))


def _alone(url: str, side: str, algorithm: Algorithm, strategy: str) -> Round:
    decide = _ours(url, algorithm) if side == "ours" else _theirs(url, strategy)
    client, subjects, took = redis.Redis.from_url(url), _subjects(), []
    client.flushdb()
    decide("warm")
    cpu, began = _cpu_s(client), time.perf_counter()
    while (now := time.perf_counter()) - began < ROUND_S:
        decide(next(subjects))
        took.append(time.perf_counter() - now)
    return _round(took, time.perf_counter() - began, _cpu_s(client) - cpu)


def _ours(url: str, algorithm: Algorithm) -> Callable[[str], Any]:
    limiter = Limiter(redis.Redis.from_url(url))
    return lambda subject: limiter.decide(_rules(algorithm, subject))


def _theirs(url: str, strategy: str) -> Callable[[str], Any]:
    limiter = limits.strategies.STRATEGIES[strategy](RedisStorage(url))

    def decide(subject: str) -> list[limits.WindowStats]:
        for item in ITEMS:
            limiter.hit(item, subject)
        return [limiter.get_window_stats(item, subject) for item in ITEMS]

    return decide


@asynccontextmanager
async def _our_loop(url: str, algorithm: Algorithm) -> AsyncIterator[Any]:
    limiter = AsyncLimiter.from_url(url)
    yield lambda subject: limiter.decide(_rules(algorithm, subject))
    await limiter.aclose()


@asynccontextmanager
async def _their_loop(url: str, strategy: str) -> AsyncIterator[Any]:
    storage = aio_storage.RedisStorage(f"async+{url}", implementation="redispy")
    limiter = aio_strategies.STRATEGIES[strategy](storage)

    async def decide(subject: str) -> list[limits.WindowStats]:
        for item in ITEMS:
            await limiter.hit(item, subject)
        return [await limiter.get_window_stats(item, subject) for item in ITEMS]

    yield decide
    with suppress(AttributeError):
        await storage.bridge.storage.aclose()


def _stage(url: str) -> list[Row]:
    """What the stage adds to a call of the data plane: five policies matched, decided, remembered and told."""
    rows = []
    for clients in (1, CLIENTS):
        ours, bare = [], []
        for _ in range(STAGE_ROUNDS):
            ours.append(asyncio.run(_through(url, _limited, clients)))
            bare.append(asyncio.run(_through(url, _pinged, clients)))
        for name, field in (("p50", "p50_us"), ("CPU", "cpu_us")):
            values, peers = ([getattr(one, field) for one in rounds] for rounds in (ours, bare))
            what = f"stage of the edge, {clients} at once, {name}"
            rows.append(
                Row(what, median(values), "us", "a PING", median(peers), median(values) / median(peers), "", None)
            )
    return rows


@asynccontextmanager
async def _limited(url: str) -> AsyncIterator[Any]:
    limiter, recorder = AsyncLimiter.from_url(url), Recorder(redis.Redis.from_url(url))
    snapshot = Snapshot("acme", 1, {"limits": {"policies": [_policy(name) for name in SUBJECT_NAMES]}})
    stage = edge.limit(limiter, recorder)

    async def proceed(call: Call) -> Answer:
        return Answer(200, [], b"")

    async def pass_through(subject: str) -> None:
        call = Call("POST", "/v2/models/m/infer", b"", {}, f"10.0.0.{subject}"[:12], "req", read=bytes)  # type: ignore[arg-type]
        call.organization_id, call.token_id, call.user_id, call.snapshot = "acme", subject, subject, snapshot
        call.route = "/v2/models/{name}/infer"
        await stage(call, proceed)

    yield pass_through
    recorder.close()
    await limiter.aclose()


@asynccontextmanager
async def _pinged(url: str) -> AsyncIterator[Any]:
    client = redis.asyncio.Redis.from_url(url)

    async def ping(subject: str) -> None:
        await client.ping()

    yield ping
    await client.aclose()


def _policy(subject: str) -> dict[str, Any]:
    return {
        **{"id": subject, "name": subject, "subject": [subject], "header": "", "quantity": "requests"},
        **{"algorithm": "gcra", "limit": 10**9, "window_ms": 60_000, "burst": 10**9, "is_shadow": False},
        **{"away": "local", "planes": ["predictions"], "routes": [], "models": []},
    }


async def _through(url: str, side: Callable[[str], Any], clients: int) -> Round:
    server, subjects, took = redis.Redis.from_url(url), _subjects(), []
    server.flushdb()
    async with side(url) as one_call:
        await one_call("1")

        async def call_on() -> None:
            while (now := time.perf_counter()) - began < ROUND_S:
                await one_call(next(subjects))
                took.append(time.perf_counter() - now)

        cpu, began = _cpu_s(server), time.perf_counter()
        await asyncio.gather(*(call_on() for _ in range(clients)))
        return _round(took, time.perf_counter() - began, _cpu_s(server) - cpu)


def _round(took: list[float], elapsed_s: float, cpu_s: float) -> Round:
    return Round(len(took) / elapsed_s, median(took) * 1e6, cpu_s / len(took) * 1e6)


def _cpu_s(client: redis.Redis) -> float:
    own, server = resource.getrusage(resource.RUSAGE_SELF), client.info("cpu")
    return own.ru_utime + own.ru_stime + server["used_cpu_user"] + server["used_cpu_sys"]


def _memory(url: str) -> list[Row]:
    """A key's, after as many calls as its limit allows, each at another moment."""
    rows = []
    for amount in (100, 10_000):
        for algorithm, strategy in PAIRS.items():
            client = redis.Redis.from_url(url)
            client.flushdb()
            ours, theirs = Limiter(client), limits.strategies.STRATEGIES[strategy](RedisStorage(url))
            rule = Rule("limits:{acme}:p", "p", algorithm, limit=amount, window_ms=3_600_000, burst=amount)
            item = limits.RateLimitItemPerHour(amount)
            for _ in range(amount):
                ours.decide([rule])
                theirs.hit(item, "p")
            used = client.memory_usage(key_of(rule), samples=0)
            [other] = [key for key in client.keys("LIMITS*") if not key.endswith(b"lock")]
            peer = client.memory_usage(other, samples=0)
            what = f"{algorithm}, memory of a key, limit {amount}"
            rows.append(Row(what, used, "bytes", PEER.format(strategy), peer, used / peer, "", None))
    return rows
