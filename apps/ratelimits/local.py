"""The limiter while Redis is away: the same algorithms in this process, at a share of each limit."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

from apps.ratelimits import deciding
from apps.ratelimits.rules import Away, Decision, Rule, Verdict

MOST_KEYS = 10_000
CLOSED_RETRY_MS = 1_000


class Recent(OrderedDict[str, Any]):
    """The states that were used last, at most `most` of them."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: str, state: Any) -> None:
        super().__setitem__(key, state)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class Local:
    """Decides alone, for one of `processes` of the plane, so that all of them together keep the limit.

    An `open` rule passes and counts nothing, a `closed` one refuses. A call that costs more than the share is refused,
    and is worth another try, because Redis may be back.
    """

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes
        self._states = Recent(MOST_KEYS)
        self._lock = Lock()

    @property
    def key_count(self) -> int:
        return len(self._states)

    def decide(self, rules: Sequence[Rule], id: str) -> Decision:
        shares, now_ms = [self._share(rule) for rule in rules], _now_ms()
        is_closed = any(rule.away is Away.CLOSED and not rule.is_shadow for rule in rules)
        counted = [share for share in shares if share.away is Away.LOCAL]
        with self._lock:
            if is_closed:
                said = iter(deciding.peek(self._states, counted, now_ms))
            else:
                said = iter(deciding.decide(self._states, counted, now_ms, id).verdicts)
        verdicts = [_verdict(rule, next(said) if rule.away is Away.LOCAL else None) for rule in rules]
        refusals = [i for i, rule in enumerate(rules) if not verdicts[i].is_allowed and not rule.is_shadow]
        return Decision(id, now_ms, rules, verdicts, is_local=True, refusals=refusals)

    def peek(self, rules: Sequence[Rule]) -> list[Verdict]:
        counted = [self._share(rule) for rule in rules if rule.away is Away.LOCAL]
        with self._lock:
            said = iter(deciding.peek(self._states, counted, _now_ms()))
        return [_verdict(rule, next(said) if rule.away is Away.LOCAL else None) for rule in rules]

    def settle(self, decision: Decision, actual: Mapping[int, int]) -> None:
        with self._lock:
            counted = {i: actual[i] for i in actual if decision.rules[i].away is Away.LOCAL}
            deciding.settle(self._states, self._shared(decision), counted, _now_ms())

    def extend(self, decision: Decision) -> bool:
        with self._lock:
            return deciding.extend(self._states, self._shared(decision), _now_ms())

    def forget(self, rules: Sequence[Rule]) -> None:
        with self._lock:
            for rule in rules:
                self._states.pop(deciding.key_of(rule), None)

    def _shared(self, decision: Decision) -> Decision:
        return replace(decision, rules=[self._share(rule) for rule in decision.rules])

    def _share(self, rule: Rule) -> Rule:
        limit, burst = (max(1, amount // self.processes) for amount in (rule.limit, rule.burst))
        return replace(rule, limit=limit, burst=burst)


def _verdict(rule: Rule, said: Verdict | None) -> Verdict:
    if said is None:
        is_open = rule.away is Away.OPEN
        return Verdict(is_open, rule.limit if is_open else 0, 0 if is_open else CLOSED_RETRY_MS, 0)
    return replace(said, retry_after_ms=CLOSED_RETRY_MS) if said.retry_after_ms < 0 else said


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
