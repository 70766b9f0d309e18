"""What a route will do, in words a person reads. Pure but for the rows it is handed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any
from uuid import UUID

from apps.core.formatting import format_duration, format_percent
from apps.gateway.enums import CacheMode, Strategy
from apps.gateway.models import Route, Target

CHOOSES = {
    Strategy.WEIGHTED: "by weight",
    Strategy.FASTEST: "the one that has lately been fastest",
    Strategy.CHEAPEST: "the cheapest for the call",
    Strategy.LEAST_BUSY: "the one with the fewest calls under way",
    Strategy.STICKY: "always the same one for the same caller",
}
NO_PRICES: Mapping[UUID, str] = MappingProxyType({})
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Step:
    """A target as a route's page draws it; `share` is its part of the tier's calls where weights decide."""

    target: Target
    share: float | None
    conditions: str
    is_away: bool
    price: str = ""


@dataclass(frozen=True, slots=True)
class Tier:
    title: str
    note: str
    steps: list[Step]


def tiers(route: Route, targets: Iterable[Target], prices: Mapping[UUID, str] = NO_PRICES) -> list[Tier]:
    """The targets by tier, in the order they are tried, with what `prices` tells of each."""
    ordered = sorted(targets, key=lambda target: (target.tier, str(target.pk)))
    grouped = [list(group) for _, group in groupby(ordered, key=lambda target: target.tier)]
    return [_tier(route, number, group, prices) for number, group in enumerate(grouped)]


def promise(route: Route, targets: Sequence[Target]) -> str:
    """One paragraph: who is asked, what happens when that fails, how long all of it may take."""
    drawn = tiers(route, targets)
    if not drawn:
        return f"Nobody answers for {route.name} yet: it has no target."
    told = [f"A call of {route.name} goes to {_asked(route, drawn[0])}."]
    if len(drawn) > 1:
        later = "; if that fails too, to ".join(_asked(route, tier) for tier in drawn[1:])
        told.append(f"If that fails, it goes to {later}.")
    attempts = "tried once" if route.attempts == 1 else f"tried {route.attempts} times at most"
    told.append(f"It is {attempts}, within {format_duration(route.deadline_ms)}.")
    if route.hedge_after_ms is not None:
        told.append(f"After {format_duration(route.hedge_after_ms)} without an answer a second one is asked as well.")
    told.append(_cache(route))
    if route.bodies_days is not None:
        told.append(f"What is sent and answered is kept, redacted, for {route.bodies_days} days.")
    return " ".join(text for text in told if text)


def conditions(when: Mapping[str, Any]) -> str:
    """The conditions of a target in words; empty where it takes every call."""
    told = [f"{name} is {value}" for name, value in when.get("headers", {}).items()]
    if "min_tokens" in when:
        told.append(f"at least {when['min_tokens']} tokens")
    if "max_tokens" in when:
        told.append(f"at most {when['max_tokens']} tokens")
    if "is_stream" in when:
        told.append("streamed" if when["is_stream"] else "not streamed")
    if "hours" in when:
        told.append("from {} to {} {}".format(*when["hours"], when.get("time_zone", "UTC")))
    if "days" in when:
        told.append(" and ".join(DAYS[day] for day in when["days"]))
    return ", ".join(told)


def _tier(route: Route, number: int, targets: list[Target], prices: Mapping[UUID, str]) -> Tier:
    total = sum(target.weight for target in targets)
    shares = [target.weight / total if total and route.strategy == Strategy.WEIGHTED else None for target in targets]
    steps = [_step(target, share, prices.get(target.pk, "")) for target, share in zip(targets, shares, strict=True)]
    note = f"Chosen {CHOOSES[Strategy(route.strategy)]}" if len(targets) > 1 else ""
    return Tier("First" if number == 0 else "If that fails", note, steps)


def _step(target: Target, share: float | None, price: str) -> Step:
    is_away = target.upstream.is_paused if target.upstream else target.deployment.is_stopped  # type: ignore[union-attr]
    return Step(target, share, conditions(target.when), is_away, price)


def _asked(route: Route, tier: Tier) -> str:
    names = [_named(step) for step in tier.steps]
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} or {names[-1]}, {CHOOSES[Strategy(route.strategy)]}"


def _named(step: Step) -> str:
    told = [format_percent(step.share)] if step.share is not None and step.share < 1 else []
    told += [text for text in (f"where {step.conditions}" if step.conditions else "", "paused" * step.is_away) if text]
    return f"{step.target} ({'; '.join(told)})" if told else str(step.target)


def _cache(route: Route) -> str:
    if route.cache_mode == CacheMode.OFF:
        return ""
    alike = "the same question" if route.cache_mode == CacheMode.EXACT else "a question that means the same"
    return f"Within {format_duration(route.cache_ttl_s * 1000)} {alike} is answered from the cache."
