from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from workers.edge.shedding import DECAY, LATE_S, MOST, Shedding, changed, shed


def test_an_idle_process_refuses_nobody() -> None:
    assert changed(0.0, 0.0) == 0.0
    assert not any(Shedding().refuses() for _ in range(100))


def test_the_share_grows_while_looks_come_late_and_shrinks_when_they_come_in_time() -> None:
    share = 0.0
    for _ in range(1000):
        before, share = share, changed(share, LATE_S * 2)
        assert share > before or share == MOST
    assert share == MOST
    assert changed(share, 0.0) == MOST - DECAY


def test_a_very_late_look_does_not_refuse_everybody_at_once() -> None:
    assert changed(0.0, 60.0) < 0.1


async def test_a_loop_that_is_kept_busy_begins_to_refuse_and_ends_when_it_is_free() -> None:
    shedding = Shedding()
    shedding.start()
    try:
        for _ in range(30):
            time.sleep(0.1)
            await asyncio.sleep(0)
        assert shedding.share > 0
        while shedding.share:
            await asyncio.sleep(0.01)
        assert not shedding.refuses()
    finally:
        shedding.close()


async def test_a_refused_call_is_told_when_to_try_again() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await shed(send)
    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"1"
    assert json.loads(sent[1]["body"])["code"] == "overloaded"
