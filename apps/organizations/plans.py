"""What an organization may have by its plan. The operator chooses the plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlanLimit:
    """One limit of calls that every plan sets, under an id that stays. `field` is where a `Plan` says how many.

    `plane` and `quantity` are the limiter's words; a call that breaks off holds its place for `window_s`.
    """

    id: str
    title: str
    field: str
    plane: str
    quantity: str
    window_s: int = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """`longest_trail_days`: how long its owners may have the trail kept.

    `jobs_at_once`: how many of its jobs our workers run at the same time. The rest is what the limiter lets pass.
    """

    name: str
    title: str
    longest_trail_days: int
    jobs_at_once: int
    predictions_a_minute: int
    predictions_at_once: int
    model_calls_a_minute: int
    api_calls_a_minute: int


PLANS = {
    plan.name: plan
    for plan in (
        Plan(
            "starter",
            "Starter",
            longest_trail_days=90,
            jobs_at_once=2,
            predictions_a_minute=6_000,
            predictions_at_once=50,
            model_calls_a_minute=3_000,
            api_calls_a_minute=1_200,
        ),
        Plan(
            "team",
            "Team",
            longest_trail_days=2 * 365,
            jobs_at_once=5,
            predictions_a_minute=60_000,
            predictions_at_once=200,
            model_calls_a_minute=30_000,
            api_calls_a_minute=6_000,
        ),
        Plan(
            "business",
            "Business",
            longest_trail_days=7 * 365 + 2,  # seven years with their leap days
            jobs_at_once=20,
            predictions_a_minute=600_000,
            predictions_at_once=1_000,
            model_calls_a_minute=300_000,
            api_calls_a_minute=60_000,
        ),
    )
}
# Nothing is sold yet, so that nobody begins with less than everything.
FIRST = "business"
CHOICES = [(plan.name, plan.title) for plan in PLANS.values()]

LIMITS = {
    limit.id: limit
    for limit in (
        PlanLimit("plan-predictions", "Plan: predictions", "predictions_a_minute", "predictions", "requests"),
        PlanLimit("plan-at-once", "Plan: predictions at once", "predictions_at_once", "predictions", "concurrency"),
        PlanLimit("plan-model-calls", "Plan: model calls", "model_calls_a_minute", "gateway", "requests"),
        PlanLimit("plan-api", "Plan: API calls", "api_calls_a_minute", "api", "requests"),
    )
}
LIMIT_CHOICES = [(limit.id, limit.title) for limit in LIMITS.values()]
