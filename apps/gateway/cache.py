"""Answers that were given before, to the same organization, on the same route. Imports no Django.

A clearing is a moment: what was asked before it is not used any more, whenever it is stored. While Redis is away,
calls pass by, and it is asked again once a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgpack
import structlog
from pydantic_core import from_json, to_json
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from apps.core.edge import Answer, Call, Proceed, Sent
from apps.gateway import near, replaying
from apps.gateway.configuration import Route
from apps.gateway.dialects.tokens import Tokens
from apps.gateway.enums import CacheMode, Face
from apps.gateway.exchange import Exchange
from apps.gateway.near import Embed, Nearest, Question, Vector

MOST_ENTRY_BYTES = 1024 * 1024
TIMEOUT_S = 0.25
ASK_AGAIN_S = 1.0
MOST_FLIGHTS = 1_000
MOST_WAITING = 100  # for one flight
MOST_STORING = 500
LONGEST_NAMESPACE = 64
NAMESPACE = b"x-cache-namespace"
TAG = "cache_namespace"  # by which a key keeps its answers to itself
# Whether and how an answer is sent and who asked: not what it says.
UNTOLD = frozenset({"stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key", "model"})
SETS = ("stop", "stop_sequences", "modalities", "include")  # their order says nothing
DEPENDENT = frozenset({"previous_response_id", "conversation", "background"})  # answers that are not of the body alone
FACES = frozenset({Face.CHAT, Face.COMPLETIONS, Face.EMBEDDINGS, Face.RESPONSES, Face.MESSAGES})
SPEAKING = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
MAX_AGE = re.compile(rb"max-age\s*=\s*(\d{1,9})")

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller's Cache-Control says."""

    reads: bool = True
    writes: bool = True
    max_age_s: float = float("inf")

    @classmethod
    def of(cls, header: bytes | None) -> Wishes:
        if not header:
            return ANY
        told = header.lower()
        age = MAX_AGE.search(told)
        return cls(b"no-cache" not in told, b"no-store" not in told, float(age[1]) if age else float("inf"))


ANY = Wishes()


@dataclass(frozen=True, slots=True)
class Entry:
    """A whole answer. `at` is when it was asked for, in seconds of the epoch."""

    at: float
    target_id: str
    tokens: Tokens | None
    body: bytes

    def packed(self) -> bytes:
        told = self.tokens
        counted = told and (told.input, told.cached, told.cache_write, told.output, told.reasoning, told.is_estimated)
        return msgpack.packb((self.at, self.target_id, counted, self.body))

    @classmethod
    def of(cls, packed: bytes) -> Entry:
        at, target_id, counted, body = msgpack.unpackb(packed)
        return cls(at, target_id, Tokens(*counted) if counted else None, body)


@dataclass(slots=True)
class Flight:
    """A call that is being answered, and how many of the same wait for it. None: its answer cannot be shared."""

    entry: asyncio.Future[Entry | None]
    waiting_count: int = 0


@dataclass(slots=True)
class Asked:
    """A call that may be answered from the cache: where its answer is, and where those to similar questions are."""

    exchange: Exchange
    route: Route
    folder: str
    key: str
    wishes: Wishes
    question: Question | None = None
    vector: Vector | None = None
    at: float = field(default_factory=time.time)

    @property
    def near(self) -> str:
        return f"{self.folder}:near:{self.question.rest}" if self.question else ""


class Recorder:
    """The pieces of a stream as they were sent, while they are not too many."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __call__(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= MOST_ENTRY_BYTES:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def stream(self) -> bytes:
        return b"".join(self._pieces)


class Cache:
    """The stage before a call is dispatched. `embed` tells the vector of a text, or None where it cannot."""

    def __init__(self, redis: Redis, embed: Embed | None = None) -> None:
        self._redis, self._embed = redis, embed
        self._nearest = Nearest(redis)
        self._next_try = 0.0
        self._flights: dict[str, Flight] = {}
        self._storing: set[asyncio.Task[None]] = set()

    @classmethod
    def from_url(cls, url: str, embed: Embed | None = None) -> Cache:
        connections = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        return cls(connections, embed)

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        asked = _asked(call)
        if asked is None:
            return await proceed(call)
        if asked.wishes.reads and (found := await self._found(asked)):
            return _replayed(call, asked, *found)
        flight = self._flights.get(asked.key)
        if flight and asked.wishes.reads and (entry := await self._shared(asked, flight)):
            return _replayed(call, asked, entry, CacheMode.EXACT)
        call.told.append((b"x-cache", b"miss"))
        if not asked.wishes.writes:
            return await proceed(call)
        return await self._flown(call, asked, proceed)

    async def aclose(self) -> None:
        """Finish what is being stored."""
        await asyncio.gather(*self._storing, return_exceptions=True)
        await self._redis.aclose()

    async def _found(self, asked: Asked) -> tuple[Entry, CacheMode] | None:
        if entry := await self._read(asked, asked.key):
            return entry, CacheMode.EXACT
        if asked.question is None or self._embed is None or not self._is_worth_asking():
            return None
        asked.vector = await self._embed(asked.question.text)
        if asked.vector is None:
            return None
        route = asked.route
        search = self._nearest.find(asked.near, asked.vector, route.cache_threshold, route.cache_ttl_s)
        key = await self._unless_away(search)
        entry = await self._read(asked, key) if key else None
        return (entry, CacheMode.SEMANTIC) if entry else None

    async def _read(self, asked: Asked, key: str) -> Entry | None:
        told: Any = await self._unless_away(self._redis.mget(key, f"{asked.folder}:cleared"))
        if not told or told[0] is None:
            return None
        entry = Entry.of(told[0])
        age_s = time.time() - entry.at
        is_cleared = told[1] is not None and float(told[1]) >= entry.at
        is_old = age_s > min(asked.wishes.max_age_s, asked.route.cache_ttl_s)
        return None if is_cleared or is_old else entry

    async def _shared(self, asked: Asked, flight: Flight) -> Entry | None:
        """The answer to the same call that is already on its way, if it comes in time."""
        if flight.waiting_count >= MOST_WAITING:
            return None
        flight.waiting_count += 1
        try:
            return await asyncio.wait_for(asyncio.shield(flight.entry), asked.route.deadline_s)
        except TimeoutError:
            return None
        finally:
            flight.waiting_count -= 1

    async def _flown(self, call: Call, asked: Asked, proceed: Proceed) -> Answer:
        flight = None
        if asked.key not in self._flights and len(self._flights) < MOST_FLIGHTS:
            flight = self._flights[asked.key] = Flight(asyncio.get_running_loop().create_future())
        entry: Entry | None = None
        recorder = Recorder()
        if asked.exchange.is_stream:
            asked.exchange.tee.append(recorder)
        try:
            answer = await proceed(call)
            entry = _entry(asked, answer, recorder)
            return answer
        finally:
            if flight:
                del self._flights[asked.key]
                flight.entry.set_result(entry)
            if entry and len(self._storing) < MOST_STORING:
                storing = asyncio.create_task(self._store(asked, entry), name="cache.store")
                self._storing.add(storing)
                storing.add_done_callback(self._storing.discard)

    async def _store(self, asked: Asked, entry: Entry) -> None:
        ttl_s = asked.route.cache_ttl_s
        await self._unless_away(self._redis.set(asked.key, entry.packed(), ex=ttl_s))
        if asked.vector is not None:
            await self._unless_away(self._nearest.add(asked.near, asked.vector, asked.key, ttl_s))

    def _is_worth_asking(self) -> bool:
        return time.monotonic() >= self._next_try

    async def _unless_away(self, work: Awaitable[T]) -> T | None:
        if not self._is_worth_asking():
            if asyncio.iscoroutine(work):
                work.close()
            return None
        try:
            return await work
        except (RedisError, OSError) as error:
            log.warning("cache_away", error=repr(error))
            self._next_try = time.monotonic() + ASK_AGAIN_S
            return None


def folder_of(organization_id: str, route_id: str) -> str:
    """What all keys of a route's cache begin with."""
    return f"gateway:{organization_id}:cache:{route_id}"


def clear(redis: Any, organization_id: str, route_id: str, ttl_s: int) -> None:
    """Forget a route's answers, those included that are on their way. For the control plane, with a client that waits.

    `ttl_s` is for how long the oldest of them might have lived.
    """
    folder = folder_of(organization_id, route_id)
    redis.set(f"{folder}:cleared", repr(time.time()), ex=ttl_s)
    for kind in ("answer", "near"):
        batch: list[Any] = []
        for key in redis.scan_iter(f"{folder}:{kind}:*", count=1_000):
            batch.append(key)
        for start in range(0, len(batch), 500):
            redis.unlink(*batch[start : start + 500])


def canonical(face: Face, body: Mapping[str, Any], context: str) -> str:
    """A hash of what decides an answer, whatever the order in which it was written."""
    told = {name: value for name, value in body.items() if name not in UNTOLD}
    for name in SETS:
        if isinstance(told.get(name), list):
            told[name] = sorted(told[name], key=str)
    written = json.dumps([face, context, told], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _asked(call: Call) -> Asked | None:
    exchange: Exchange = call.context
    route = exchange.route
    if route is None or route.cache_mode == CacheMode.OFF or not route.cache_ttl_s or exchange.face not in FACES:
        return None
    if not DEPENDENT.isdisjoint(exchange.body):
        return None
    wishes = Wishes.of(call.headers.get(b"cache-control"))
    if not (wishes.reads or wishes.writes):
        return None
    context = _context(call, exchange, route)
    folder = folder_of(call.organization_id or "", route.id)
    key = f"{folder}:answer:{canonical(exchange.face, exchange.body, context)}"
    question = None
    if route.cache_mode == CacheMode.SEMANTIC:
        told = {name: value for name, value in exchange.body.items() if name not in UNTOLD}
        question = near.question(exchange.face, told, f"{exchange.face}:{context}")
    return Asked(exchange, route, folder, key, wishes, question)


def _context(call: Call, exchange: Exchange, route: Route) -> str:
    """What decides an answer beside the body: the namespace, where the route leads, and the headers that say so."""
    own = exchange.key.tags.get(TAG, "") if exchange.key else ""
    named = call.headers.get(NAMESPACE, b"")[:LONGEST_NAMESPACE].decode("latin-1")
    targets = [(one.upstream.id if one.upstream else one.deployment, one.model) for one in route.targets]
    deciding = {name.lower().encode() for one in route.targets for name in one.when.get("headers") or ()}
    headers = [(name, call.headers[name]) for name in sorted({*SPEAKING, *deciding}) if name in call.headers]
    return repr((own, named, targets, headers))


def _replayed(call: Call, asked: Asked, entry: Entry, found: CacheMode) -> Answer:
    exchange = asked.exchange
    exchange.cache, exchange.cost, exchange.tokens = found.value, 0, entry.tokens
    exchange.target = next((one for one in asked.route.targets if one.id == entry.target_id), None)
    call.told.append((b"x-cache", b"semantic" if found == CacheMode.SEMANTIC else b"hit"))
    call.told.append((b"age", b"%d" % max(time.time() - entry.at, 0)))
    exchange.first_token_ns = time.perf_counter_ns()
    if exchange.is_stream and exchange.face != Face.EMBEDDINGS:
        return Answer(200, list(EVENTS), replaying.events(exchange.face, from_json(entry.body), exchange.body))
    return Answer(200, list(JSON), entry.body)


def _entry(asked: Asked, answer: Answer, recorder: Recorder) -> Entry | None:
    """What of an answer is worth keeping: nothing of one that failed, was cut, is too long, or is no model's."""
    exchange = asked.exchange
    if answer.status != 200 or exchange.error_class or exchange.error_code or exchange.target is None:
        return None
    if len(answer.body) > MOST_ENTRY_BYTES:
        return None
    told: Any = None
    with suppress(replaying.Unfinished, ValueError):
        if isinstance(answer, Sent):
            told = replaying.assembled(exchange.face, recorder.stream(), exchange.tokens)
        else:
            told = from_json(answer.body)
    if not isinstance(told, dict) or not replaying.is_whole(exchange.face, told):
        return None
    body = to_json(told) if isinstance(answer, Sent) else answer.body
    return Entry(asked.at, exchange.target.id, exchange.tokens, body)
