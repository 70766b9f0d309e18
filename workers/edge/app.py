"""The data plane's application. `python -m workers.edge` serves it alone; `config.asgi` beside Django."""

from __future__ import annotations

import os
import time
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.core.edge import Call, Proceed
from apps.core.streams import Writer
from apps.deployments.edge import Fleet
from config.environment import ROOT
from workers.asgi import Application
from workers.edge import pipeline
from workers.edge.snapshots import SnapshotReader


class Edge(Application):
    """Serves the data plane's paths from snapshots, and writes down what was used."""

    async def start(self) -> Proceed:
        state = Path(os.environ.get("STATE_DIR", ROOT / ".data"))
        self._redis = Redis.from_url(
            os.environ["REDIS_URL"], socket_timeout=2, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        self._fleet = Fleet()
        self._snapshots = SnapshotReader(self._redis, state / "snapshots", self._fleet.apply)
        self._writer = Writer(self._redis, state / "spool", "edge")
        self._writer.start()
        await self._snapshots.start()
        return pipeline.build(self._snapshots, self._fleet, self._writer)

    def settle(self, call: Call) -> None:
        call.ended_at = time.time()
        call.body = b""  # the events refer to the call, and may have to wait for Redis
        for stream, make_event in call.events:
            self._writer.append(stream, make_event)

    async def stop(self) -> None:
        """Send what is queued and let go of everything."""
        await self._snapshots.close()
        await self._writer.close()
        self._fleet.close()
        await self._redis.aclose()


application = Edge()
