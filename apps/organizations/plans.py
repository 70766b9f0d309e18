"""What an organization may have by its plan. The operator chooses the plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`longest_trail_days`: how long its owners may have the trail kept.

    `jobs_at_once`: how many of its jobs our workers run at the same time.
    """

    name: str
    title: str
    longest_trail_days: int
    jobs_at_once: int


PLANS = {
    plan.name: plan
    for plan in (
        Plan("starter", "Starter", longest_trail_days=90, jobs_at_once=2),
        Plan("team", "Team", longest_trail_days=2 * 365, jobs_at_once=5),
        # Seven years with their leap days.
        Plan("business", "Business", longest_trail_days=7 * 365 + 2, jobs_at_once=20),
    )
}
# Nothing is sold yet, so that nobody begins with less than everything.
FIRST = "business"
CHOICES = [(plan.name, plan.title) for plan in PLANS.values()]
