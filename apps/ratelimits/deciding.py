"""What all rules of a call say together: the pure form of `script.lua`, over states by key. Imports no Django."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from apps.ratelimits import gcra, leases, window
from apps.ratelimits.rules import Algorithm, Decision, Rule, Verdict

FORMS: dict[Algorithm, Any] = {Algorithm.GCRA: gcra, Algorithm.WINDOW: window, Algorithm.LEASES: leases}
States = MutableMapping[str, Any]


def key_of(rule: Rule) -> str:
    """Each algorithm has its own state, so that a rule can change it at any time."""
    return f"{rule.key}:{rule.algorithm}"


def decide(states: States, rules: Sequence[Rule], now_ms: int, id: str) -> Decision:
    """Take from all rules, or from none if one refuses. A shadow refuses nothing, and is taken from if it would pass."""
    waits = [FORMS[rule.algorithm].wait_ms(_looked_at(states, rule, now_ms), rule, now_ms) for rule in rules]
    refusals = [index for index, rule in enumerate(rules) if waits[index] and not rule.is_shadow]
    if not refusals:
        for rule, wait_ms in zip(rules, waits, strict=True):
            if wait_ms == 0:
                _take(states, rule, now_ms, id)
    verdicts = [_verdict(states, rule, wait_ms, now_ms) for rule, wait_ms in zip(rules, waits, strict=True)]
    return Decision(id, now_ms, rules, verdicts, refusals=refusals)


def peek(states: States, rules: Sequence[Rule], now_ms: int) -> list[Verdict]:
    """What each rule would say, with nothing taken."""
    waits = [FORMS[rule.algorithm].wait_ms(_looked_at(states, rule, now_ms), rule, now_ms) for rule in rules]
    return [_verdict(states, rule, wait_ms, now_ms) for rule, wait_ms in zip(rules, waits, strict=True)]


def settle(states: States, decision: Decision, actual: Mapping[int, int], now_ms: int) -> None:
    for index, rule, verdict in taken_of(decision):
        change = actual.get(index, rule.cost) - rule.cost
        form, state = FORMS[rule.algorithm], _looked_at(states, rule, now_ms)
        if form is leases:
            _keep(states, rule, leases.released(state, decision.id))
        elif change > 0:
            _keep(states, rule, form.taken(state, rule, now_ms, change))
        elif change < 0:
            _keep(states, rule, form.given_back(state, rule, now_ms, -change, decision.at_ms, verdict.remaining))


def extend(states: States, decision: Decision, now_ms: int) -> bool:
    is_held = True
    for _, rule, _ in taken_of(decision, Algorithm.LEASES):
        state = _looked_at(states, rule, now_ms)
        if any(lease.id == decision.id for lease in state):
            _keep(states, rule, leases.taken(state, rule, now_ms, decision.id))
        else:
            is_held = False
    return is_held


def taken_of(decision: Decision, *algorithms: Algorithm) -> Iterator[tuple[int, Rule, Verdict]]:
    """The rules that were taken from, with their places and what they said."""
    if decision.is_allowed:
        for index, (rule, verdict) in enumerate(zip(decision.rules, decision.verdicts, strict=True)):
            if verdict.is_allowed and (not algorithms or rule.algorithm in algorithms):
                yield index, rule, verdict


def _looked_at(states: States, rule: Rule, now_ms: int) -> Any:
    form, stored = FORMS[rule.algorithm], states.get(key_of(rule))
    state = form.aged(stored, rule, now_ms)
    if stored is not None and form.is_ahead(stored, rule, now_ms):
        _keep(states, rule, state)
    return state


def _take(states: States, rule: Rule, now_ms: int, id: str) -> None:
    form, state = FORMS[rule.algorithm], _looked_at(states, rule, now_ms)
    _keep(states, rule, form.taken(state, rule, now_ms, id if form is leases else rule.cost))


def _keep(states: States, rule: Rule, state: Any) -> None:
    states[key_of(rule)] = state


def _verdict(states: States, rule: Rule, wait_ms: int, now_ms: int) -> Verdict:
    form, state = FORMS[rule.algorithm], _looked_at(states, rule, now_ms)
    return Verdict(wait_ms == 0, form.remaining(state, rule), wait_ms, form.reset_after_ms(state, rule, now_ms))
