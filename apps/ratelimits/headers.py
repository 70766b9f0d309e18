"""What an answer tells of the limits that its call met. Pure: a decision goes in, header fields come out.

`RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-10, lists of structured fields
(RFC 9651); its `t` names the same moment as `Retry-After` where there is one. `x-ratelimit-*` and `retry-after-ms` are
what clients of OpenAI's API read: there a reset is when all of the limit is free again. Shadow is not told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from apps.ratelimits.rules import Algorithm, Decision, Rule, Verdict

UNITS = {
    "requests": "",
    "concurrency": ';qu="concurrent-requests"',
    "tokens": ';qu="tokens"',
    "cost": ';qu="micro-usd"',
}
TOLD_TO_OPENAI_CLIENTS = ("requests", "tokens")
REMEMBERED = 10_000
LARGEST_INTEGER = 999_999_999_999_999  # of structured fields


class Policy(Protocol):
    """Where a rule comes from."""

    @property
    def name(self) -> str: ...
    @property
    def quantity(self) -> str: ...


Told = tuple[Policy, Rule, Verdict]


def fields(decision: Decision, policies: Sequence[Policy]) -> list[tuple[str, str]]:
    """The header fields of any answer; `policies` say of each rule where it comes from. None if nothing limits."""
    told = [
        (policy, rule, verdict)
        for policy, rule, verdict in zip(policies, decision.rules, decision.verdicts, strict=True)
        if not rule.is_shadow
    ]
    if not told:
        return []
    scarcest = scarcest_by_quantity(told)
    found = [
        ("ratelimit-policy", ", ".join(_policy_item(policy, rule) for policy, rule, _ in told)),
        ("ratelimit", ", ".join(_limit_item(policy, verdict) for policy, _, verdict in scarcest.values())),
    ]
    for quantity in TOLD_TO_OPENAI_CLIENTS:
        if quantity in scarcest:
            found += _for_openai_clients(quantity, *scarcest[quantity][1:])
    return found


def retry_fields(retry_after_ms: int) -> list[tuple[str, str]]:
    """When to try again, so that who waits as long passes; nothing if waiting does not help (-1)."""
    if retry_after_ms < 0:
        return []
    return [("retry-after", str(seconds(retry_after_ms))), ("retry-after-ms", str(retry_after_ms))]


def scarcest_by_quantity(told: Sequence[Told]) -> dict[str, Told]:
    """Of each quantity the rule that refuses longest, or else the one of which the least is left for longest."""
    found: dict[str, Told] = {}
    for one in sorted(told, key=lambda one: _scarcity(one[2])):
        found.setdefault(one[0].quantity, one)
    return found


def wait_order(verdict: Verdict) -> float:
    """How long it refuses; forever is longest."""
    return math.inf if verdict.retry_after_ms < 0 else verdict.retry_after_ms


def _scarcity(verdict: Verdict) -> tuple[float, int, int]:
    return -wait_order(verdict), verdict.remaining, -verdict.reset_after_ms


def seconds(milliseconds: int) -> int:
    """Whole seconds, rounded up."""
    return -(-milliseconds // 1000)


def duration(milliseconds: int) -> str:
    """As OpenAI writes one: 120ms, 1s, 6m0s, 1h0m30s."""
    if milliseconds < 1000:
        return f"{max(0, milliseconds)}ms"
    minutes, rest = divmod(seconds(milliseconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"


@lru_cache(REMEMBERED)
def string(text: str) -> str:
    """A string of structured fields, which holds printable ASCII only."""
    plain = text.encode("ascii", "replace").decode()
    shown = "".join(letter if letter.isprintable() else " " for letter in plain)
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _policy_item(policy: Policy, rule: Rule) -> str:
    window_ms = 0 if rule.algorithm == Algorithm.LEASES else rule.window_ms
    return _policy_text(policy.name, policy.quantity, rule.limit, window_ms)


@lru_cache(REMEMBERED)
def _policy_text(name: str, quantity: str, limit: int, window_ms: int) -> str:
    window = f";w={seconds(window_ms)}" if window_ms else ""
    return f"{string(name)};q={_integer(limit)}{UNITS[quantity]}{window}"


def _limit_item(policy: Policy, verdict: Verdict) -> str:
    until_ms = verdict.retry_after_ms if verdict.retry_after_ms > 0 else verdict.reset_after_ms
    return f"{string(policy.name)};r={_integer(verdict.remaining)};t={_integer(seconds(until_ms))}"


def _for_openai_clients(quantity: str, rule: Rule, verdict: Verdict) -> list[tuple[str, str]]:
    return [
        (f"x-ratelimit-limit-{quantity}", str(rule.limit)),
        (f"x-ratelimit-remaining-{quantity}", str(max(0, verdict.remaining))),
        (f"x-ratelimit-reset-{quantity}", duration(verdict.reset_after_ms)),
    ]


def _integer(number: int) -> int:
    return max(0, min(number, LARGEST_INTEGER))
