"""The data plane's application. `python -m workers.edge` serves it alone; `config.asgi` beside Django."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.core.access_log import BatchedLines
from apps.core.edge import Call, Proceed
from apps.core.metrics import METHODS, OTHER_METHOD, QUEUED_EVENTS, UNMATCHED, RequestMeter
from apps.core.outbound import addresses
from apps.core.outbound.wire import Wire
from apps.core.seals import unseal
from apps.core.streams import Writer
from apps.deployments.edge import Fleet
from apps.gateway import bodies
from apps.gateway.budgets import WithinBudget
from apps.gateway.cache import Cache
from apps.gateway.counting import estimated
from apps.gateway.dispatch import Dispatcher
from apps.gateway.embedding import embedding
from apps.gateway.health import Checker, Publisher
from apps.gateway.sending import Keys
from apps.ratelimits.edge import PREDICTIONS
from apps.ratelimits.engine import AsyncLimiter
from apps.ratelimits.peers import Peers
from apps.ratelimits.seen import Recorder
from apps.usage.edge import WithinQuota
from config.environment import ROOT
from config.logging import IS_JSON
from workers.asgi import Application
from workers.edge import pipeline
from workers.edge.shedding import Shedding
from workers.edge.snapshots import SnapshotReader

PROBES = frozenset({"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics"})
LOG_INTERVAL_S = 0.5


class Edge(Application):
    """Serves the data plane's paths from snapshots, and writes down what was used."""

    headers: ClassVar[list[tuple[bytes, bytes]]] = [
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]

    def __init__(self) -> None:
        self._shedding = Shedding()

    def refuse_unread(self, request: bytes) -> bytes | None:
        """The whole answer to a request that an overloaded process does not even parse."""
        return self._shedding.answer(request)

    async def start(self) -> Proceed:
        self._shedding.start()
        self._meter = RequestMeter("edge")
        self._lines = BatchedLines(sys.stderr, is_json=IS_JSON)
        self._logging = asyncio.create_task(self._write_lines(), name="access-log")
        state = Path(os.environ.get("STATE_DIR", ROOT / ".data"))
        self._redis = Redis.from_url(
            os.environ["REDIS_URL"], socket_timeout=2, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        self._fleet = Fleet()
        self._snapshots = SnapshotReader(self._redis, state / "snapshots", self._fleet.apply)
        self._writer = Writer(self._redis, state / "spool", "edge", dispensable={bodies.STREAM: bodies.MOST_WAITING})
        self._writer.start()
        QUEUED_EVENTS.set_function(lambda: self._writer.waiting_count)
        self._quota = WithinQuota(self._redis)
        self._budget = WithinBudget(self._redis)
        await self._snapshots.start()
        # Connections of its own: a call waits for what goes through them.
        self._limiter = AsyncLimiter.from_url(os.environ["REDIS_URL"])
        self._recorder = Recorder(
            SyncRedis.from_url(os.environ["REDIS_URL"], socket_timeout=1, socket_connect_timeout=1),
            Peers(PREDICTIONS, self._limiter.local, state / "peers"),
        )
        self._recorder.start()
        self._wire = Wire(addresses.networks(os.environ.get("OUTBOUND_ALLOWED_NETWORKS", "").split(",")))
        keys = Keys(partial(unseal, secret=os.environ.get("SECRET_KEY", "")))
        dispatcher = Dispatcher(self._wire, keys, self._fleet.serve, estimated, os.environ.get("LLM_URL", ""))
        self._cache = Cache.from_url(os.environ["REDIS_URL"], embedding(self._wire, os.environ.get("LLM_URL", "")))
        self._watch_upstreams(dispatcher, keys)
        return pipeline.build(
            self._snapshots,
            self._fleet,
            self._writer,
            self._quota,
            self._budget,
            self._limiter,
            self._recorder,
            dispatcher,
            self._cache,
        )

    def _watch_upstreams(self, dispatcher: Dispatcher, keys: Keys) -> None:
        self._seen = Publisher(self._redis, dispatcher.standings, keys, self._snapshots.get)
        self._checker = Checker(self._redis, self._wire, dispatcher, keys, self._snapshots.all)
        self._watching = [
            asyncio.create_task(self._seen.run(), name="upstreams-seen"),
            asyncio.create_task(self._checker.run(), name="upstreams-checked"),
        ]

    def admit(self, call: Call) -> None:
        self._meter.in_flight.inc()

    def settle(self, call: Call, status: int) -> None:
        call.ended_at = time.time()
        call.body = b""  # the events refer to the call, and may have to wait for Redis
        seconds = (time.perf_counter_ns() - call.started_ns) / 1e9
        self._meter.in_flight.dec()
        self._meter.observe(call.method, call.route, status, seconds)
        if call.route not in PROBES:
            self._lines.add(call.ended_at, _line(call, status, seconds))
        for stream, make_event in call.events:
            self._writer.append(stream, make_event)

    async def _write_lines(self) -> None:
        while True:
            await asyncio.sleep(LOG_INTERVAL_S)
            self._lines.write()

    async def stop(self) -> None:
        """Send what is queued and let go of everything."""
        self._shedding.close()
        self._logging.cancel()
        with suppress(asyncio.CancelledError):
            await self._logging
        self._lines.write()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._checker.close()
        await self._seen.withdraw()
        await self._snapshots.close()
        await self._quota.close()
        await self._budget.close()
        await self._cache.aclose()
        await self._writer.close()
        self._wire.close()
        self._fleet.close()
        await asyncio.to_thread(self._recorder.close)
        await self._limiter.aclose()
        await self._redis.aclose()


def _line(call: Call, status: int, seconds: float) -> dict[str, Any]:
    """What the access log tells: the route and never the path, which holds whatever the caller put there."""
    return {
        "plane": "edge",
        "method": call.method if call.method in METHODS else OTHER_METHOD,
        "route": call.route or UNMATCHED,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "request_id": call.request_id,
        "organization": call.organization_id,
        "actor": call.token_id,
    }


application = Edge()
