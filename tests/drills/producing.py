"""A producer of usage, in a process of its own: counts until its input closes, and says what it counted.

`python -m tests.drills.producing ORGANIZATION SPOOL EVENTS_PER_SECOND`
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.core.ids import uuid7
from apps.core.streams import EventsNotStored, Writer

STREAM = "events:usage"
PAUSE_S = 0.01


def event(organization: str, quantity: int) -> dict[str, Any]:
    now, dimensions = datetime.now(UTC), {"model": f"model-{quantity % 3}"}
    told = {"organization_id": organization, "meter": "drill", "quantity": quantity, "cost_micro_usd": quantity}
    return {"id": uuid7(), "at": now, "dimensions": dimensions, **told}


async def produce(organization: str, spool: Path, per_second: float) -> dict[str, int]:
    redis = Redis.from_url(os.environ["REDIS_URL"], socket_timeout=2, retry=Retry(NoBackoff(), 0))
    writer = Writer(redis, spool, "drill")
    writer.start()
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    counted = refused = number = 0
    while not ended.done():
        for _ in range(round(per_second * PAUSE_S)):
            number += 1
            try:
                writer.require_room()
            except EventsNotStored:
                refused += 1
                continue
            writer.append(STREAM, partial(event, organization, number % 7))
            counted += number % 7
        if refused:
            sys.stderr.write("refused\n")
        await asyncio.sleep(PAUSE_S)
    await writer.close()
    await redis.aclose()
    return {"counted": counted, "refused": refused}


if __name__ == "__main__":
    told = asyncio.run(produce(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
    sys.stdout.write(json.dumps(told) + "\n")
