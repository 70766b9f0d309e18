"""The engine for an organization's own services: they ask about calls that they serve themselves.

What a call took can be settled once it is over. The caller keeps what is needed for that, signed by us, so that
nothing is kept here for calls of which nobody hears again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from django.core import signing

from apps.core import snapshots
from apps.ratelimits import asking
from apps.ratelimits.errors import PlaceLost, PolicyNotAsked, PolicyUnfit, ReservationInvalid
from apps.ratelimits.matching import SECTION, Asked, Denial, Matched, Policy, compiled_for, rules_for
from apps.ratelimits.rules import Algorithm, Away, Decision, Rule, Verdict

PLANE = "check"
SALT = "ratelimits.reservation"
LASTS_S = 31 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Question:
    """A call that another service asks about. With a `policy`, its name or id, no other counts."""

    asked: Asked
    policy: str = ""
    consume: bool = True


@dataclass(frozen=True, slots=True)
class Said:
    """What limits say of a call. `reservation` is for `settle`, if the call took anything."""

    matched: Matched
    decision: Decision
    reservation: str = ""

    @property
    def denied(self) -> Denial | None:
        return self.matched.denied

    @property
    def is_allowed(self) -> bool:
        return self.denied is None and self.decision.is_allowed

    @property
    def retry_after_ms(self) -> int:
        """When the call would pass, -1 if it never would, 0 if it does."""
        if self.denied:
            return -1
        waits = [self.decision.verdicts[number].retry_after_ms for number in self.decision.refusals]
        return -1 if -1 in waits else max(waits, default=0)


def check(organization_id: str, questions: Sequence[Question]) -> list[Said]:
    """Answer each by itself, one after the other: those that consume in one round trip, those that look in another.

    Raises `PolicyNotAsked` and `PolicyUnfit`, before anything is taken.
    """
    published = snapshots.read(organization_id)
    section = published.sections.get(SECTION, {}) if published else {}
    pairs = [(_matched(section, question), question) for question in questions]
    taken = iter(_taken(organization_id, [one for one, question in pairs if question.consume]))
    looked = iter(_looked([one for one, question in pairs if not question.consume]))
    return [next(taken if question.consume else looked) for question in questions]


def settle(organization_id: str, reservation: str, actual: Mapping[str, int]) -> None:
    """The call is over: its places come free, and `actual` counts in place of what was expected, by quantity.

    Told again, it changes nothing. Raises `ReservationInvalid`.
    """
    decision, quantities = _decision(organization_id, reservation)
    used = {index: actual[name] for index, name in enumerate(quantities) if name in actual}
    if _is_told_first(organization_id, decision):
        asking.limiter().settle(decision, used)


def _is_told_first(organization_id: str, decision: Decision) -> bool:
    """Places come free once by themselves; what else was taken is corrected by who tells of it first."""
    if all(rule.algorithm is Algorithm.LEASES for rule in decision.rules):
        return True
    return asking.limiter().mark(f"limits:{{{organization_id}}}:settled:{decision.id}", _counts_for_ms(decision))


def extend(organization_id: str, reservation: str) -> None:
    """The call goes on: it holds its places for another window. Raises `ReservationInvalid`, `PlaceLost`."""
    decision, _ = _decision(organization_id, reservation)
    if not asking.limiter().extend(decision):
        raise PlaceLost


def _counts_for_ms(decision: Decision) -> int:
    """How long what the call took can be seen in any of its limits."""
    spans = zip(decision.rules, decision.verdicts, strict=True)
    return max(max(rule.window_ms, verdict.reset_after_ms) for rule, verdict in spans)


def _matched(section: Mapping[str, Any], question: Question) -> Matched:
    matched = rules_for(section, question.asked)
    if not question.policy or matched.denied:
        return matched
    policy = _named(section, question)
    kept = [index for index, one in enumerate(matched.policies) if one is policy]
    if not kept and not matched.is_allowed:
        raise PolicyUnfit(
            field="policy", policy=policy.name, subjects=", ".join(policy.subject), quantity=policy.quantity
        )
    return Matched(
        [matched.rules[index] for index in kept],
        [matched.policies[index] for index in kept],
        [matched.subjects[index] for index in kept],
        is_allowed=matched.is_allowed,
    )


def _named(section: Mapping[str, Any], question: Question) -> Policy:
    policies = compiled_for(question.asked.organization_id, section).policies.get(PLANE, ()) if section else ()
    for policy in policies:
        if question.policy in (policy.id, policy.name):
            return policy
    raise PolicyNotAsked(field="policy", policy=question.policy)


def _taken(organization_id: str, matched: Sequence[Matched]) -> list[Said]:
    decisions = asking.decide_each(organization_id, matched)
    return [
        Said(one, decision, _reservation(organization_id, one, decision))
        for one, decision in zip(matched, decisions, strict=True)
    ]


def _looked(matched: Sequence[Matched]) -> list[Said]:
    limited = [one.rules for one in matched if one.rules]
    verdicts = iter(asking.limiter().peek_each(limited) if limited else ())
    return [Said(one, _seen(one.rules, next(verdicts)) if one.rules else asking.UNLIMITED) for one in matched]


def _seen(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> Decision:
    refusals = [index for index, rule in enumerate(rules) if not verdicts[index].is_allowed and not rule.is_shadow]
    return Decision("", 0, rules, verdicts, refusals=refusals)


def _reservation(organization_id: str, matched: Matched, decision: Decision) -> str:
    if not matched.rules or not decision.is_allowed:
        return ""
    rules = [astuple(rule) for rule in decision.rules]
    verdicts = [astuple(verdict) for verdict in decision.verdicts]
    quantities = [policy.quantity for policy in matched.policies]
    kept = [organization_id, decision.id, decision.at_ms, rules, verdicts, decision.is_local, quantities]
    return signing.dumps(kept, salt=SALT, compress=True)


def _decision(organization_id: str, reservation: str) -> tuple[Decision, list[str]]:
    try:
        owner, id, at_ms, rules, verdicts, is_local, quantities = signing.loads(reservation, salt=SALT, max_age=LASTS_S)
    except signing.BadSignature:
        raise ReservationInvalid(field="reservation") from None
    if owner != organization_id:
        raise ReservationInvalid(field="reservation")
    decision = Decision(id, at_ms, [_rule(*one) for one in rules], [Verdict(*one) for one in verdicts], is_local)
    return decision, quantities


def _rule(key: str, policy: str, algorithm: str, *columns: Any) -> Rule:
    rule = Rule(key, policy, Algorithm(algorithm), *columns)
    return replace(rule, away=Away(rule.away))
