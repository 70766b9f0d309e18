"""What is sent to Redis and what comes back. `script.lua` is the other end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgpack

from apps.ratelimits.deciding import key_of, taken_of
from apps.ratelimits.rules import Algorithm, Decision, Rule, Verdict

TEXT = Path(__file__).with_name("script.lua").read_text()
SHA = hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Command:
    """The arguments of one EVALSHA."""

    keys: Sequence[str]
    argument: bytes

    @property
    def arguments(self) -> tuple[str | int | bytes, ...]:
        return (SHA, len(self.keys), *self.keys, self.argument)


def decide(rules: Sequence[Rule], id: str, now_ms: int, action: str = "decide") -> Command:
    packed = [(r.algorithm, r.limit, r.window_ms, r.burst, r.cost, r.is_shadow) for r in rules]
    return Command([key_of(rule) for rule in rules], msgpack.packb((action, now_ms, id, packed)))


def settle(decision: Decision, actual: Mapping[int, int], now_ms: int) -> Command | None:
    """Nothing, when there is nothing to correct and nothing to free."""
    keys, packed = [], []
    for index, rule, verdict in taken_of(decision):
        change = actual.get(index, rule.cost) - rule.cost
        if change or rule.algorithm is Algorithm.LEASES:
            keys.append(key_of(rule))
            change = 0 if rule.algorithm is Algorithm.LEASES else change
            packed.append((*_terms(rule), decision.at_ms, verdict.remaining, change))
    return Command(keys, msgpack.packb(("settle", now_ms, decision.id, packed))) if keys else None


def extend(decision: Decision, now_ms: int) -> Command | None:
    rules = [rule for _, rule, _ in taken_of(decision, Algorithm.LEASES)]
    packed = [_terms(rule) for rule in rules]
    return (
        Command([key_of(r) for r in rules], msgpack.packb(("extend", now_ms, decision.id, packed))) if rules else None
    )


def verdicts(reply: Sequence[int]) -> list[Verdict]:
    numbers = iter(reply[1:])
    return [Verdict(wait == 0, left, wait, reset) for left, wait, reset in zip(numbers, numbers, numbers, strict=True)]


def decision(reply: Sequence[int], rules: Sequence[Rule], id: str) -> Decision:
    said = verdicts(reply)
    refusals = [i for i, rule in enumerate(rules) if not said[i].is_allowed and not rule.is_shadow]
    return Decision(id, reply[0], rules, said, refusals=refusals)


def _terms(rule: Rule) -> tuple[str, int, int, int, int]:
    return rule.algorithm, rule.limit, rule.window_ms, rule.burst, rule.cost
