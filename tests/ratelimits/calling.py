"""A process that calls the limiter: `python -m tests.ratelimits.calling URL RULES COUNT`, all at once when told to.

Prints how many of its calls passed, and holds what they took until it is killed or its input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys

from apps.ratelimits.engine import AsyncLimiter
from apps.ratelimits.rules import Algorithm, Rule


async def main(url: str, rules: str, count: str) -> None:
    limiter = AsyncLimiter.from_url(url)
    asked = [Rule(**{**fields, "algorithm": Algorithm(fields["algorithm"])}) for fields in json.loads(rules)]
    await limiter.peek(asked)
    print("ready", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    decisions = await asyncio.gather(*(limiter.decide(asked) for _ in range(int(count))))
    assert not any(decision.is_local for decision in decisions)
    print(sum(decision.is_allowed for decision in decisions), flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(*sys.argv[1:]))
