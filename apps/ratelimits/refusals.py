"""A call that limits refuse, in words and headers. Imports no Django: both planes raise these."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.errors import DomainError
from apps.core.formatting import format_count
from apps.ratelimits import headers
from apps.ratelimits.matching import Denial, Policy
from apps.ratelimits.rules import Decision, Rule

UNITS = {"requests": "requests", "tokens": "tokens", "cost": "millionths of a dollar", "concurrency": "calls at once"}
PERIODS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class RateLimited(DomainError):
    code = "rate_limited"
    status = 429
    detail = "The limit “{policy}” of {limit} is used up. Try again in {wait}."


class ConcurrencyLimited(DomainError):
    code = "concurrency_limited"
    status = 429
    detail = "The limit “{policy}” of {limit} is reached. Try again when one of them has ended, or in {wait}."


class LargerThanLimit(DomainError):
    code = "larger_than_limit"
    status = 429
    detail = (
        "This call alone takes more than the limit “{policy}” of {limit} ever lets through. Ask for less at a time."
    )


class CallDenied(DomainError):
    code = "call_denied"
    status = 403
    detail = (
        "Your organization denies calls of this {subject}{because}. "
        "Ask an owner to take it off the list of those denied."
    )


def denied(denial: Denial) -> CallDenied:
    return CallDenied(subject=denial.subject, because=f" ({denial.reason})" if denial.reason else "")


def refused(decision: Decision, policies: Sequence[Policy]) -> DomainError:
    """The refusal of a decision: by the rule that takes longest to let the call pass, with headers of all."""
    worst = max(decision.refusals, key=lambda number: _wait_order(decision.verdicts[number].retry_after_ms))
    policy, rule, wait_ms = policies[worst], decision.rules[worst], decision.verdicts[worst].retry_after_ms
    error = _kind(policy, wait_ms)(policy=policy.name, limit=limit_in_words(policy, rule), wait=wait_in_words(wait_ms))
    told = [*headers.fields(decision, policies), *headers.retry_fields(wait_ms)]
    error.headers = dict(told)  # type: ignore[misc]
    violated = [policies[number].name for number in decision.refusals]
    error.members = {"violated-policies": violated, "retry_after_ms": wait_ms}  # type: ignore[misc]
    return error


def limit_in_words(policy: Policy, rule: Rule) -> str:
    amount = f"{format_count(rule.limit)} {UNITS[policy.quantity]}"
    return amount if policy.quantity == "concurrency" else f"{amount} {period_in_words(rule.window_ms // 1000)}"


def period_in_words(seconds: int) -> str:
    size, name = next(period for period in PERIODS if seconds % period[0] == 0)
    return f"a {name}".replace("a hour", "an hour") if seconds == size else f"in {seconds // size} {name}s"


def wait_in_words(milliseconds: int) -> str:
    """Rounded up, so that who waits as long passes."""
    seconds = headers.seconds(max(0, milliseconds))
    if seconds <= 120:
        return f"{seconds} second" + ("s" if seconds != 1 else "")
    minutes = -(-seconds // 60)
    return f"{minutes} minutes" if minutes <= 120 else f"{-(-seconds // 3600)} hours"


def _wait_order(retry_after_ms: int) -> float:
    return float("inf") if retry_after_ms < 0 else retry_after_ms


def _kind(policy: Policy, wait_ms: int) -> type[DomainError]:
    if wait_ms < 0:
        return LargerThanLimit
    return ConcurrencyLimited if policy.quantity == "concurrency" else RateLimited
