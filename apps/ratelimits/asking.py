"""The control plane's limiter and recorder, one of each for a process."""

from __future__ import annotations

from functools import cache

import redis
from django.conf import settings

from apps.ratelimits.engine import Limiter
from apps.ratelimits.matching import Matched
from apps.ratelimits.rules import Decision
from apps.ratelimits.seen import Recorder

UNLIMITED = Decision("", 0, (), ())


@cache
def limiter() -> Limiter:
    return Limiter.from_url(settings.REDIS_URL)


@cache
def recorder() -> Recorder:
    return Recorder(redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1))


def decide(organization_id: str, matched: Matched) -> Decision:
    """Take from all rules that a call met, or from none, and remember what was said."""
    if not matched.rules:
        return UNLIMITED
    decision = limiter().decide(matched.rules)
    recorder().add(organization_id, decision, matched.subjects)
    return decision
