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
    """Take from all rules, or from none if one refuses. A shadow refuses nothing, and is taken from if it passes."""
    seen = [_seen(states, rule, now_ms) for rule in rules]
    waits = _waits(rules, seen, now_ms)
    refusals = [index for index, rule in enumerate(rules) if waits[index] and not rule.is_shadow]
    if not refusals:
        for index, rule in enumerate(rules):
            if waits[index] == 0:
                amount = id if rule.algorithm is Algorithm.LEASES else rule.cost
                seen[index] = FORMS[rule.algorithm].taken(seen[index], rule, now_ms, amount)
                states[key_of(rule)] = seen[index]
    return Decision(id, now_ms, rules, _verdicts(rules, seen, waits, now_ms), refusals=refusals)


def peek(states: States, rules: Sequence[Rule], now_ms: int) -> list[Verdict]:
    """What each rule would say, with nothing taken."""
    seen = [_seen(states, rule, now_ms) for rule in rules]
    return _verdicts(rules, seen, _waits(rules, seen, now_ms), now_ms)


def settle(states: States, decision: Decision, actual: Mapping[int, int], now_ms: int) -> None:
    """Free the places of the call, give back what it took and did not use, and count what it used beyond that."""
    for rule, change, reset_ms in changes(decision, actual):
        form, state = FORMS[rule.algorithm], _seen(states, rule, now_ms)
        if rule.algorithm is Algorithm.LEASES:
            states[key_of(rule)] = leases.released(state, decision.id)
        elif change > 0:
            states[key_of(rule)] = form.taken(state, rule, now_ms, change)
        else:
            states[key_of(rule)] = form.given_back(state, rule, now_ms, -change, decision.at_ms, reset_ms)


def extend(states: States, decision: Decision, now_ms: int) -> bool:
    """Hold the places of the call for another window; False when one had ended."""
    is_held = True
    for rule in held(decision):
        state = _seen(states, rule, now_ms)
        if any(lease.id == decision.id for lease in state):
            states[key_of(rule)] = leases.taken(state, rule, now_ms, decision.id)
        else:
            is_held = False
    return is_held


def changes(decision: Decision, actual: Mapping[int, int]) -> Iterator[tuple[Rule, int, int]]:
    """The rules that the end of a call changes: by how much, and what `reset_after_ms` was told."""
    for index, rule, verdict in _taken(decision):
        change = actual.get(index, rule.cost) - rule.cost
        if change or rule.algorithm is Algorithm.LEASES:
            yield rule, change, verdict.reset_after_ms


def held(decision: Decision) -> list[Rule]:
    """The rules of which the call holds a place."""
    return [rule for _, rule, _ in _taken(decision) if rule.algorithm is Algorithm.LEASES]


def _taken(decision: Decision) -> Iterator[tuple[int, Rule, Verdict]]:
    if decision.is_allowed:
        for index, (rule, verdict) in enumerate(zip(decision.rules, decision.verdicts, strict=True)):
            if verdict.is_allowed:
                yield index, rule, verdict


def _seen(states: States, rule: Rule, now_ms: int) -> Any:
    """The state as of now. A stale one is kept so: one of the future would stand still until its time has come, and a
    lease that has ended would come back with a clock that steps back.
    """
    form, stored = FORMS[rule.algorithm], states.get(key_of(rule))
    state = form.aged(stored, rule, now_ms)
    if stored is not None and form.is_stale(stored, rule, now_ms):
        states[key_of(rule)] = state
    return state


def _waits(rules: Sequence[Rule], seen: Sequence[Any], now_ms: int) -> list[int]:
    return [FORMS[rule.algorithm].wait_ms(state, rule, now_ms) for rule, state in zip(rules, seen, strict=True)]


def _verdicts(rules: Sequence[Rule], seen: Sequence[Any], waits: Sequence[int], now_ms: int) -> list[Verdict]:
    verdicts = []
    for rule, state, wait_ms in zip(rules, seen, waits, strict=True):
        form = FORMS[rule.algorithm]
        left, reset_after_ms = form.remaining(state, rule), form.reset_after_ms(state, rule, now_ms)
        verdicts.append(Verdict(wait_ms == 0, left, wait_ms, reset_after_ms))
    return verdicts
