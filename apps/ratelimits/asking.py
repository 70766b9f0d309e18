"""The control plane's limiter and recorder, one of each for a process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import redis
from django.conf import settings

from apps.ratelimits.engine import Limiter
from apps.ratelimits.enums import Plane
from apps.ratelimits.lasting import Extender
from apps.ratelimits.matching import Matched
from apps.ratelimits.peers import Peers
from apps.ratelimits.rules import Decision
from apps.ratelimits.seen import Recorder

UNLIMITED = Decision("", 0, (), ())


@cache
def limiter() -> Limiter:
    return Limiter.from_url(settings.REDIS_URL)


@cache
def extender() -> Extender:
    return Extender(limiter())


@cache
def reader() -> redis.Redis:
    """For what was seen, which nobody waits for."""
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


@cache
def recorder() -> Recorder:
    return Recorder(reader(), Peers(Plane.API, limiter().local, Path(settings.STATE_DIR) / "peers"))


def decide(organization_id: str, matched: Matched) -> Decision:
    """Take from all rules that a call met, or from none, and remember what was said."""
    return decide_each(organization_id, [matched])[0]


def decide_each(organization_id: str, calls: Sequence[Matched]) -> list[Decision]:
    """The same for several calls, one after the other, in one round trip."""
    limited = [matched for matched in calls if matched.rules]
    said = iter(limiter().decide_each([matched.rules for matched in limited]) if limited else ())
    decisions = []
    for matched in calls:
        decision = next(said) if matched.rules else UNLIMITED
        recorder().add(organization_id, decision, matched.subjects)
        decisions.append(decision)
    return decisions
