"""Which target gets the next attempt. Pure, and without Django."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from apps.deployments.balancing import Health
from apps.gateway.breakers import Breaker, Failures
from apps.gateway.configuration import Route, Target, Upstream
from apps.gateway.enums import Strategy

LEAST_WAIT_S = 1.0
Costs = Callable[[Target], int | None]


@dataclass(slots=True)
class Standing:
    """What this process has seen of one upstream, or of one deployment behind a route."""

    upstream: Upstream | None = None
    breaker: Breaker = field(default_factory=Breaker)
    health: Health = field(default_factory=Health)
    failures: Failures = field(default_factory=Failures)
    called_at: float = -math.inf

    def is_available(self, now: float) -> bool:
        most = self.upstream.most_at_once if self.upstream else None
        is_full = most is not None and self.health.in_flight >= most
        return not is_full and self.breaker.may_pass(now)

    def opens_in(self, now: float) -> float:
        """Seconds after which asking again makes sense."""
        return max(self.breaker.open_until - now, LEAST_WAIT_S)


@dataclass(frozen=True, slots=True)
class Asking:
    """What conditions and strategies look at. `caller` is what a sticky route sticks to."""

    headers: Mapping[bytes, bytes]
    input_tokens: int
    is_stream: bool
    at: float
    caller: str


def fitting(route: Route, asking: Asking) -> list[Target]:
    """The route's targets whose conditions the call meets."""
    return [target for target in route.targets if not target.when or meets(target.when, asking)]


def meets(when: Mapping[str, Any], asking: Asking) -> bool:
    for name, wanted in when.get("headers", {}).items():
        if asking.headers.get(name.lower().encode("latin-1", "replace"), b"").decode("latin-1") != wanted:
            return False
    if not when.get("min_tokens", 0) <= asking.input_tokens <= when.get("max_tokens", math.inf):
        return False
    if "is_stream" in when and when["is_stream"] != asking.is_stream:
        return False
    return _is_time(when, asking.at)


def _is_time(when: Mapping[str, Any], at: float) -> bool:
    if "hours" not in when and "days" not in when:
        return True
    local = datetime.fromtimestamp(at, ZoneInfo(when.get("time_zone", "UTC")))
    if "days" in when and local.weekday() not in when["days"]:
        return False
    first, last = when.get("hours", ("00:00", "24:00"))
    now = local.strftime("%H:%M")
    # From evening to morning goes over midnight.
    return first <= now < last if first <= last else now >= first or now < last


def choose(
    strategy: Strategy,
    targets: Sequence[Target],
    standing: Callable[[Target], Standing],
    asking: Asking,
    cost: Costs,
    now: float,
) -> Target | None:
    """One of `targets`, which may all be called now; None without any."""
    if len(targets) < 2:
        return targets[0] if targets else None
    if strategy == Strategy.WEIGHTED:
        return _weighted(targets)
    if strategy == Strategy.FASTEST:
        targets = random.sample(targets, 2)  # two of them, so that nobody herds
    ranks: dict[Strategy, Callable[[Target], Any]] = {
        Strategy.FASTEST: lambda target: standing(target).health.load(now),
        Strategy.LEAST_BUSY: lambda target: (standing(target).health.in_flight, random.random()),  # noqa: S311
        Strategy.CHEAPEST: lambda target: _unpriced_last(cost(target)),
        Strategy.STICKY: lambda target: -_rendezvous(target, asking.caller),
    }
    return min(targets, key=ranks[strategy])


def _weighted(targets: Sequence[Target]) -> Target:
    weights = [target.weight for target in targets]
    return random.choices(targets, weights if any(weights) else None)[0]  # noqa: S311


def _unpriced_last(cost: int | None) -> tuple[bool, int]:
    """What has no price comes last, because nobody knows what it costs."""
    return cost is None, cost or 0


def _rendezvous(target: Target, caller: str) -> float:
    """Weighted rendezvous hashing: a caller moves only when its own target goes (Thaler and Ravishankar, 1998)."""
    digest = hashlib.blake2b(f"{target.id}\t{caller}".encode(), digest_size=8).digest()
    share = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -target.weight / math.log(share) if target.weight else 0.0
