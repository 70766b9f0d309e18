"""A call that limits refuse, in words and headers. Imports no Django: both planes raise these."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core.errors import DomainError
from apps.core.formatting import format_wait
from apps.ratelimits import headers, wording
from apps.ratelimits.matching import Denial, Policy
from apps.ratelimits.rules import Decision


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
    worst = max(decision.refusals, key=lambda number: headers.wait_order(decision.verdicts[number]))
    policy, rule, wait_ms = policies[worst], decision.rules[worst], decision.verdicts[worst].retry_after_ms
    limit = wording.amount_of(policy.quantity, rule.limit, rule.window_ms // 1000)
    wait = format_wait(headers.seconds(wait_ms))
    error = _kind(policy, wait_ms)(policy=policy.name, limit=limit, wait=wait)
    told = [*headers.fields(decision, policies), *headers.retry_fields(wait_ms)]
    error.headers = dict(told)  # type: ignore[misc]
    violated = [policies[number].name for number in decision.refusals]
    error.members = {"violated-policies": violated, "retry_after_ms": wait_ms}  # type: ignore[misc]
    return error


def _kind(policy: Policy, wait_ms: int) -> type[DomainError]:
    if wait_ms < 0:
        return LargerThanLimit
    return ConcurrencyLimited if policy.quantity == "concurrency" else RateLimited
