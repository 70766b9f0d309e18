"""What an organization may use: the amounts of its plan, and those that an operator gave it for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.audit import services as audit
from apps.core import operators, snapshots, tenancy
from apps.core.actors import Actor
from apps.core.formatting import format_iso
from apps.organizations.models import Organization
from apps.usage import errors, meters
from apps.usage.meters import Meter
from apps.usage.models import Entitlement, Override
from apps.usage.quotas import Counter, period_of


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a meter is included, None without end; and the override it comes from, if from one."""

    meter: Meter
    included: int | None = None
    is_hard: bool = False
    override: Override | None = None

    @property
    def is_enforced(self) -> bool:
        return self.is_hard and self.included is not None


def of(organization: Organization) -> dict[str, Amount]:
    """The amounts of each known meter, for the organization in scope."""
    planned = {row.meter: row for row in Entitlement.objects.filter(plan=organization.plan)}
    # Of several for one meter the last one counts.
    overrides = {row.meter: row for row in Override.objects.filter(ends_at__gt=timezone.now()).order_by("id")}
    return {meter.name: _amount(meter, planned.get(meter.name), overrides.get(meter.name)) for meter in _METERS}


def of_all(lasting: Iterable[Override]) -> Iterator[tuple[UUID, list[Amount]]]:
    """The same of every organization, of which these are the overrides in the order of their ids."""
    planned = {(row.plan, row.meter): row for row in Entitlement.objects.all()}
    overrides = {(row.organization_id, row.meter): row for row in lasting}
    for pk, plan in Organization.objects.values_list("pk", "plan").iterator():
        yield pk, [_amount(one, planned.get((plan, one.name)), overrides.get((pk, one.name))) for one in _METERS]


_METERS = tuple(meters.METERS.values())


def _amount(meter: Meter, planned: Entitlement | None, override: Override | None) -> Amount:
    is_hard = bool(planned and planned.is_hard)
    if override:
        return Amount(meter, override.included, is_hard, override)
    return Amount(meter, planned.included if planned else None, is_hard)


def enforced(*only: Meter) -> list[Amount]:
    """The amounts that refuse in the organization in scope, of these meters or of all."""
    organization = Organization.objects.filter(pk=tenancy.current_tenant_id(), plan__in=hard_plans(*only)).first()
    amounts = of(organization).values() if organization else ()
    return [amount for amount in amounts if amount.is_enforced and (not only or amount.meter in only)]


def hard_plans(*only: Meter) -> QuerySet[Any]:
    """The plans of which an amount refuses; overrides change amounts, and not whether they do."""
    hard = Entitlement.objects.filter(is_hard=True)
    return (hard.filter(meter__in=[meter.name for meter in only]) if only else hard).values("plan")


def hard_counters(now: datetime) -> list[Counter]:
    """What is counted for all organizations because more may be refused. Overrides say how much, and not what."""
    metered: dict[str, list[Meter]] = {}
    for row in Entitlement.objects.filter(is_hard=True).order_by("id"):
        metered.setdefault(row.plan, []).append(meters.named(row.meter))
    rows = Organization.objects.filter(plan__in=metered).values_list("pk", "plan")
    return [Counter(str(pk), meter.name, period_of(meter, now)) for pk, plan in rows for meter in metered[plan]]


def counter(amount: Amount, now: datetime) -> Counter:
    """What is counted against the amount in the organization in scope."""
    organization_id = str(tenancy.current_tenant_id())
    return Counter(organization_id, amount.meter.name, period_of(amount.meter, now), amount.included)


@transaction.atomic
def set_entitlement(entitlement: Entitlement, included: int | None, is_hard: bool, *, by: Actor) -> Entitlement:
    """Change what a plan includes. The data plane knows within a minute. Raises `OperatorNeeded`, `WrongAmount`."""
    operators.operator_id(by)
    _require_amount(included)
    entitlement = Entitlement.objects.select_for_update().get(pk=entitlement.pk)
    before = _told(entitlement)
    entitlement.included, entitlement.is_hard = included, is_hard
    if (after := _told(entitlement)) != before:
        entitlement.changed_at, entitlement.changed_by_label = timezone.now(), by.label[:200]
        entitlement.save()
        operators.note(by, entitlement, f"From {before} to {after}")
    return entitlement


def _told(entitlement: Entitlement) -> str:
    return f"{amount_text(entitlement.meter, entitlement.included)}, {'refusing' if entitlement.is_hard else 'told'}"


def amount_text(meter: str, included: int | None) -> str:
    return "unlimited" if included is None else meters.named(meter).text(included)


@transaction.atomic
def grant_override(meter: str, included: int | None, ends_at: datetime, reason: str, *, by: Actor) -> Override:
    """Give the organization in scope another amount until `ends_at`.

    Raises `OperatorNeeded`, `WrongAmount`, `ReasonMissing`, `EndPassed`.
    """
    operators.operator_id(by)
    _require_amount(included)
    if not reason:
        raise errors.ReasonMissing(field="reason")
    if ends_at <= timezone.now():
        raise errors.EndPassed(field="ends_at")
    override = Override(meter=meter, included=included, ends_at=ends_at, reason=reason, operator_label=by.label[:200])
    override.save()
    told = {"amount": amount_text(meter, included), "ends_at": format_iso(ends_at), "reason": reason}
    audit.record(by, "quota_override.created", override, told)
    snapshots.publish_on_commit(override.organization_id)
    return override


@transaction.atomic
def end_override(override: Override, *, by: Actor) -> Override:
    """Let the plan's amount count again. One that has ended stays as it is. Raises `OperatorNeeded`."""
    operators.operator_id(by)
    override = Override.objects.select_for_update().get(pk=override.pk)
    if override.ends_at <= timezone.now():
        return override
    before, override.ends_at = override.ends_at, timezone.now()
    override.save(update_fields=["ends_at"])
    changes = {"ends_at": [format_iso(before), format_iso(override.ends_at)]}
    audit.record(by, "quota_override.ended", override, changes)
    snapshots.publish_on_commit(override.organization_id)
    return override


def _require_amount(included: int | None) -> None:
    if included is not None and not 0 <= included < 2**53:
        raise errors.WrongAmount(field="included")
