"""`python -m workers.sink`: copies events until SIGTERM."""

from __future__ import annotations

import os
import signal
import socket

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.environment import env
from config.logging import configure as configure_logging
from workers.sink.copying import Destination
from workers.sink.sink import BLOCK_MS, Sink


def main() -> None:
    configure_logging()
    # The loop itself tries again, from what Redis still holds as unfinished.
    client = redis.Redis.from_url(
        env.str("REDIS_URL"), socket_timeout=BLOCK_MS / 1000 + 5, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
    )
    consumer = f"{socket.gethostname()}-{os.getpid()}"
    sink = Sink(client, Destination(env.str("DATABASE_SINK_URL")), consumer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sink.stop())
    sink.run()


main()
