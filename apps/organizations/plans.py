"""What an organization may have by its plan. The operator chooses the plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`longest_trail_days`: how long its owners may have the trail kept."""

    name: str
    title: str
    longest_trail_days: int


PLANS = {
    plan.name: plan
    for plan in (
        Plan("starter", "Starter", longest_trail_days=90),
        Plan("team", "Team", longest_trail_days=2 * 365),
        Plan("business", "Business", longest_trail_days=7 * 365 + 2),  # seven years with their leap days
    )
}
# Nothing is sold yet, so that nobody begins with less than everything.
FIRST = "business"
CHOICES = [(plan.name, plan.title) for plan in PLANS.values()]
