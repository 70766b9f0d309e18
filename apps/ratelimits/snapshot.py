"""What both planes know of an organization's limits: its plan's, its own, and its lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from apps.core.tenancy import current_tenant_id
from apps.organizations.models import Organization
from apps.organizations.plans import LIMITS, PLANS, Plan, PlanLimit
from apps.ratelimits.enums import EntryKind, Quantity, Subject
from apps.ratelimits.models import Entry, PlanLimitOverride, Policy
from apps.ratelimits.rules import Algorithm, Away

Policies = Callable[[], Iterable[dict[str, Any]]]
_others: list[Policies] = []


def adds_policies(policies: Policies) -> Policies:
    """Register what an app above limits by itself: compiled policies of the organization in scope.

    One with `tokens` counts for calls with these alone.
    """
    _others.append(policies)
    return policies


def compile_section() -> dict[str, list[dict[str, Any]]]:
    entries: dict[str, list[dict[str, Any]]] = {kind: [] for kind in EntryKind.values}
    for entry in Entry.objects.lasting().order_by("pk"):
        entries[entry.kind].append(_entry(entry))
    own = [_policy(policy) for policy in Policy.objects.counting().order_by("pk")]
    others = [policy for policies in _others for policy in policies()]
    return {"policies": [*_of_plan(), *own, *others], **entries}


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "id": str(policy.pk),
        "name": policy.name,
        "subject": policy.subject,
        "header": policy.header,
        "quantity": policy.quantity,
        "algorithm": Algorithm.LEASES if policy.is_concurrency else policy.algorithm,
        "limit": policy.limit,
        "window_ms": policy.window_s * 1000,
        "burst": policy.burst or policy.limit,
        "is_shadow": policy.is_shadow,
        "away": policy.away,
        "planes": policy.planes,
        "routes": policy.routes,
        "models": policy.models,
    }


def _of_plan() -> Iterator[dict[str, Any]]:
    plan = PLANS[Organization.objects.values_list("plan", flat=True).get(pk=current_tenant_id())]
    overrides = {override.plan_limit: override for override in PlanLimitOverride.objects.lasting()}
    for limit in LIMITS.values():
        yield from _plan_limit(plan, limit, overrides.get(limit.id))


def _plan_limit(plan: Plan, limit: PlanLimit, override: Any) -> Iterator[dict[str, Any]]:
    """The plan's limit; while an override lasts that instead, with the plan's again from the moment it ends."""
    ends_at = _epoch(override and override.ends_at)
    if override:
        yield _plan_policy(limit, override.limit) | {"ends_at": ends_at}
    yield _plan_policy(limit, getattr(plan, limit.field)) | {"begins_at": ends_at}


def _plan_policy(limit: PlanLimit, number: int) -> dict[str, Any]:
    return {
        "id": limit.id,
        "name": limit.title,
        "subject": [Subject.ORGANIZATION],
        "header": "",
        "quantity": limit.quantity,
        "algorithm": Algorithm.LEASES if limit.quantity == Quantity.CONCURRENCY else Algorithm.GCRA,
        "limit": number,
        "window_ms": limit.window_s * 1000,
        "burst": number,
        "is_shadow": False,
        "away": Away.LOCAL,
        "planes": [limit.plane],
        "routes": [],
        "models": [],
        "is_of_plan": True,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "subject": entry.subject,
        "header": entry.header,
        "value": entry.value,
        "reason": entry.reason,
        "ends_at": _epoch(entry.ends_at),
    }


def _epoch(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
