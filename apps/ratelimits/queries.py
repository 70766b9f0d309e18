"""What people see of limits: their policies with what each did lately, and who is limited now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import redis
from django.utils import timezone

from apps.core import charts
from apps.core.errors import NotFound
from apps.core.formatting import format_percent
from apps.core.tenancy import current_tenant_id
from apps.core.time_ranges import DAY, HOUR, TimeRange
from apps.organizations.enums import TokenKind
from apps.organizations.models import ApiToken, Membership, Organization
from apps.organizations.plans import LIMITS, PLANS
from apps.ratelimits import asking, seen, wording
from apps.ratelimits.enums import Mode, Subject
from apps.ratelimits.models import Entry, PlanLimitOverride, Policy
from apps.ratelimits.seen import Counts
from apps.usage.queries import token_names

Result = TypeVar("Result")

RANGES = {one.name: one for one in (HOUR, DAY)}  # what was seen is kept for a day
SHOWN_SUBJECTS = 50
STATUSES = {Mode.ENFORCED: "enabled", Mode.SHADOW: "skipped", Mode.PAUSED: "warning"}


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """A limit that comes with the plan, said in the same words as a policy. Nobody in the organization changes it.

    While the operator's `override` lasts, `limit` is its number and not the plan's, `usual`.
    """

    pk: str
    name: str
    quantity: str
    limit: int
    window_s: int
    planes: Sequence[str]
    usual: int
    override: Any = None
    subject: Sequence[str] = (Subject.ORGANIZATION,)
    header: str = ""
    is_shadow: bool = False
    mode: Mode = Mode.ENFORCED


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a policy, or a limit of the plan, and what it did in the last hour."""

    policy: Policy | PlanPolicy
    counts: Counts = field(default_factory=Counts)

    @property
    def is_of_plan(self) -> bool:
        return isinstance(self.policy, PlanPolicy)

    @property
    def amount(self) -> str:
        return wording.amount(self.policy)

    @property
    def whom(self) -> str:
        return wording.whom(self.policy)

    @property
    def mode(self) -> tuple[str, str]:
        """The status to draw, and what it is called."""
        return STATUSES[self.policy.mode], self.policy.mode.label

    @property
    def peak_use(self) -> float | None:
        return _used(self.counts)

    @property
    def tone(self) -> str:
        """Whether what was left at worst is cause for worry."""
        return "danger" if self.counts.refused or self.counts.would_refuse else ""


@dataclass(frozen=True, slots=True)
class LimitedRow:
    """Somebody who is limited now: their names, one for each subject of the policy, and how often they were refused."""

    policy: Policy | PlanPolicy
    names: Sequence[str]
    refused: int
    last_at: datetime

    @property
    def who(self) -> str:
        return " · ".join(self.names)

    @property
    def is_of_plan(self) -> bool:
        return isinstance(self.policy, PlanPolicy)


@dataclass(frozen=True, slots=True)
class History:
    """What a policy did in a time range, in its steps."""

    times: Sequence[datetime]
    steps: Sequence[Counts]

    @property
    def total(self) -> Counts:
        total = Counts()
        for step in self.steps:
            total.add(step)
        return total

    @property
    def calls(self) -> charts.TimeSeries:
        drawn = [("Passed", [step.passed for step in self.steps]), ("Refused", [step.refused for step in self.steps])]
        if any(step.would_refuse for step in self.steps):
            drawn.append(("Would have been refused", [step.would_refuse for step in self.steps]))
        return charts.time_series("Calls", self.times, [charts.Series(name, values) for name, values in drawn])

    @property
    def peak_use(self) -> charts.TimeSeries:
        used = charts.Series("Used at most", [_used(step) for step in self.steps])
        return charts.time_series("Peak use", self.times, [used], text=format_percent)


def policies() -> list[Policy | PlanPolicy]:
    """Every limit of the organization: its own in the order of their names, then its plan's."""
    return [*Policy.objects.order_by("name"), *plan_policies()]


def policy_called(policy_id: str) -> Policy | PlanPolicy:
    """Raises `NotFound`."""
    for policy in policies():
        if str(policy.pk) == policy_id:
            return policy
    raise NotFound


def plan_policies() -> list[PlanPolicy]:
    plan = PLANS[Organization.objects.values_list("plan", flat=True).get(pk=current_tenant_id())]
    overrides = {override.plan_limit: override for override in PlanLimitOverride.objects.lasting()}
    found = []
    for limit in LIMITS.values():
        override, usual = overrides.get(limit.id), getattr(plan, limit.field)
        number = override.limit if override else usual
        found.append(
            PlanPolicy(
                limit.id, limit.title, limit.quantity, number, limit.window_s, [limit.plane], usual, override=override
            )
        )
    return found


def rows(of: Sequence[Policy | PlanPolicy]) -> list[Row] | None:
    """Each policy with what it did in the last hour; None while that cannot be read."""
    since = timezone.now() - timedelta(hours=1)
    counts = _read(lambda client: seen.summed(client, current_tenant_id(), since))
    return None if counts is None else [Row(policy, counts.get(str(policy.pk), Counts())) for policy in of]


def limited_now(of: Sequence[Policy | PlanPolicy]) -> list[LimitedRow] | None:
    """Who was refused within the last minute by one of these; None while that cannot be read."""
    found = _read(lambda client: seen.limited_now(client, current_tenant_id()))
    if found is None:
        return None
    by_id = {str(policy.pk): policy for policy in of}
    limited = [(by_id[one.policy], one) for one in found[:SHOWN_SUBJECTS] if one.policy in by_id]
    named = _names([(policy.subject, one.subject) for policy, one in limited])
    return [
        LimitedRow(policy, names, one.refused, one.last_at) for (policy, one), names in zip(limited, named, strict=True)
    ]


def limited_anywhere(most: int) -> dict[str, list[seen.Limited]] | None:
    """Who was refused within the last minute, in each of `most` organizations, those of the last moment.

    None while that cannot be read.
    """
    return _read(lambda client: seen.limited_anywhere(client, seen.where_limited(client, most)))


def history(policy: Policy | PlanPolicy, time_range: TimeRange, now: datetime) -> History | None:
    """What the policy did, by the range's steps in the zone of `now`; None while that cannot be read."""
    times = time_range.steps(now)
    minutes = _read(lambda client: seen.over_time(client, current_tenant_id(), str(policy.pk), times[0]))
    if minutes is None:
        return None
    steps = [Counts() for _ in times]
    for minute in minutes:
        steps[min(int((minute.at - times[0]) / time_range.step), len(steps) - 1)].add(minute.counts)
    return History([at.astimezone(now.tzinfo) for at in times], steps)


def choices() -> dict[str, list[tuple[str, str]]]:
    """Whom an entry may name, as (id, name): the organization's usable tokens and its people."""
    tokens = ApiToken.objects.usable().order_by("name").values_list("pk", "name", "kind", "membership__user__email")
    people = Membership.objects.order_by("user__email").values_list("user", "user__email")
    named = [(str(pk), f"{name} ({email or TokenKind(kind).label.lower()})") for pk, name, kind, email in tokens]
    return {Subject.TOKEN: named, Subject.USER: [(str(pk), email) for pk, email in people]}


def entry_names(entries: Sequence[Entry]) -> list[str]:
    """What people call the value of each."""
    return [names[0] for names in _names([([entry.subject], entry.value) for entry in entries])]


def _used(counts: Counts) -> float | None:
    """The largest share of the limit that was used, by whoever used most."""
    return None if counts.least_headroom is None else 1 - counts.least_headroom


def _names(subjects: Sequence[tuple[Sequence[str], str]]) -> list[list[str]]:
    """The values of each as people know them: tokens and persons by their names."""
    split = [list(zip(kinds, text.split("\t"), strict=False)) for kinds, text in subjects]
    values = [pair for pairs in split for pair in pairs]
    tokens = token_names({value for kind, value in values if kind == Subject.TOKEN})
    people = _people({value for kind, value in values if kind == Subject.USER})
    known = {Subject.TOKEN: tokens, Subject.USER: people}
    return [[_name(kind, value, known) for kind, value in pairs] for pairs in split]


def _name(kind: str, value: str, known: Mapping[Any, Mapping[str, str]]) -> str:
    if kind == Subject.ORGANIZATION:
        return "The whole organization"
    return known.get(kind, {}).get(value, value)


def _people(ids: Iterable[str]) -> dict[str, str]:
    """The addresses of the members among these ids; a service that asks about limits may send any text."""
    known = [user_id for user_id in ids if _is_uuid(user_id)]
    return {
        str(pk): email for pk, email in Membership.objects.filter(user__in=known).values_list("user", "user__email")
    }


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _read(reading: Callable[[redis.Redis], Result]) -> Result | None:
    try:
        return reading(asking.reader())
    except redis.RedisError:
        return None
