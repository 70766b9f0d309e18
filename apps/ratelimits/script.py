"""What is sent to Redis and what comes back. `script.lua` is the other end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgpack

from apps.ratelimits.deciding import changes, held, key_of
from apps.ratelimits.rules import Algorithm, Decision, Rule, Verdict

TEXT = Path(__file__).with_name("script.lua").read_text()
SHA = hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Command:
    """One call of the script. `id` is the decision's that takes or frees places by it, if one does."""

    keys: Sequence[str]
    argument: bytes
    id: str = ""

    @property
    def words(self) -> tuple[str | int | bytes, ...]:
        return ("EVALSHA", SHA, len(self.keys), *self.keys, self.argument)

    @property
    def places(self) -> list[tuple[str, str]]:
        """Where the decision holds a place, if nobody knows what became of the call."""
        return [(key, self.id) for key in self.keys if self.id and key.endswith(f":{Algorithm.LEASES}")]


def decide(rules: Sequence[Rule], id: str, now_ms: int, action: str = "decide") -> Command:
    packed = [(*_terms(rule), rule.is_shadow) for rule in rules]
    return Command([key_of(rule) for rule in rules], msgpack.packb((action, now_ms, id, packed)), id)


def settle(decision: Decision, actual: Mapping[int, int], now_ms: int) -> Command | None:
    """None, when there is nothing to correct and nothing to free."""
    found = list(changes(decision, actual))
    packed = [(*_terms(rule), decision.at_ms, reset_ms, change) for rule, change, reset_ms in found]
    command = _command("settle", [rule for rule, _, _ in found], packed, decision.id, now_ms)
    return command and replace(command, id=decision.id)


def extend(decision: Decision, now_ms: int) -> Command | None:
    rules = held(decision)
    return _command("extend", rules, [_terms(rule) for rule in rules], decision.id, now_ms)


def _command(action: str, rules: Sequence[Rule], packed: Sequence[Any], id: str, now_ms: int) -> Command | None:
    keys = [key_of(rule) for rule in rules]
    return Command(keys, msgpack.packb((action, now_ms, id, packed))) if keys else None


def verdicts(reply: Sequence[int], rules: Sequence[Rule]) -> list[Verdict]:
    numbers = iter(reply[1 : _told(rules)])
    return [Verdict(wait == 0, left, wait, reset) for left, wait, reset in zip(numbers, numbers, numbers, strict=True)]


def decision(reply: Sequence[int], rules: Sequence[Rule], id: str) -> Decision:
    said = verdicts(reply, rules)
    if shared := {number - 1 for number in reply[_told(rules) :]}:
        rules = [_shared(rule) if index in shared else rule for index, rule in enumerate(rules)]
    refusals = [i for i, rule in enumerate(rules) if not said[i].is_allowed and not rule.is_shadow]
    return Decision(id, reply[0], rules, said, refusals=refusals)


def _told(rules: Sequence[Rule]) -> int:
    """How many numbers of a reply are the clock and the verdicts; behind them stand the rules that were shared."""
    return 1 + 3 * len(rules)


def _shared(rule: Rule) -> Rule:
    """The rule by the key that it shares with others, as the script names it."""
    name = key_of(rule)[rule.stem :].encode("utf-8", "surrogatepass")
    bucket = hashlib.sha1(name, usedforsecurity=False).hexdigest()[:2]
    return replace(rule, key=f"{rule.key[: rule.stem]}:~{bucket}", stem=0)


def _terms(rule: Rule) -> tuple[str, int, int, int, int, int, int]:
    return rule.algorithm, rule.limit, rule.window_ms, rule.burst, rule.cost, rule.stem, rule.most_subjects
