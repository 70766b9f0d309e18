"""`python -m workers.scaler`: runs until SIGTERM, and leaves the replicas running for the next scaler to adopt."""

from __future__ import annotations

import os
import signal
import threading

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

import django

django.setup()

import psycopg  # noqa: E402
import redis  # noqa: E402
import structlog  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import Error, connections  # noqa: E402

from apps.core.heartbeats import Heartbeat  # noqa: E402
from apps.deployments.probing import Prober  # noqa: E402
from apps.deployments.runtimes.process import ProcessRuntime  # noqa: E402
from config.environment import env  # noqa: E402
from workers.scaler.leadership import Leadership  # noqa: E402
from workers.scaler.scaler import Scaler  # noqa: E402

TICK_S = 0.5
STANDBY_S = 1.0

log = structlog.get_logger(__name__)


class Loop:
    """Leads when it can, stands by when another scaler does, and starts over when the database was away."""

    def __init__(self, leadership: Leadership, runtime: ProcessRuntime) -> None:
        self._leadership = leadership
        self._runtime = runtime
        self._prober = Prober()
        self._scaler: Scaler | None = None
        self._heartbeat = Heartbeat(redis_client(), "scaler")
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                pause_s = self._turn()
            except (Error, psycopg.Error) as error:
                log.warning("scaler_waits", error=str(error).partition("\n")[0])
                self._lose()
                pause_s = STANDBY_S
            self._stopping.wait(pause_s)
        self._lose()
        self._prober.close()
        self._runtime.close()

    def _turn(self) -> float:
        if not self._leadership.is_held and not self._leadership.acquire():
            return STANDBY_S
        if self._scaler is None:
            log.info("scaler_leads")
            self._runtime.adopt()
            self._scaler = Scaler(self._runtime, self._prober)
        now, listed = self._leadership.deployments()
        self._scaler.tick(listed, now)
        self._heartbeat.beat()
        return TICK_S

    def _lose(self) -> None:
        self._leadership.release()
        self._scaler = None
        connections.close_all()


def redis_client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def main() -> None:
    loop = Loop(Leadership(env.str("DATABASE_URL")), ProcessRuntime(settings.STATE_DIR))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    loop.run()


main()
