"""Telling people that much of an included amount is used, once in a period and for each step."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from apps.core import tenancy
from apps.core.formatting import format_month
from apps.notifications import services as notifications
from apps.organizations.enums import Role
from apps.organizations.models import Membership
from apps.usage import entitlements, meters
from apps.usage.entitlements import Amount
from apps.usage.models import Override, QuotaNotice, UsageDay
from apps.usage.quotas import month_of

STEPS = (100, 80)
TOLD_ROLES = (Role.OWNER, Role.BILLING)

REFUSED = "More is refused until the month ends, or an operator raises the amount."
STOCK_REFUSED = "More is refused until something is deleted, or an operator raises the amount."
NOT_REFUSED = "Nothing is refused."
AHEAD = "At 100 % more is refused."


def tell_all() -> None:
    """Tell each organization's owners and who pays of the highest step that a meter has reached since they were told.

    The number of queries does not grow with the organizations, only with those that have something to be told.
    """
    now = timezone.now()
    used, told = _used(now), _told(now)
    lasting = Override.unscoped.using("console").filter(ends_at__gt=now).order_by("id")
    for organization_id, amounts in entitlements.of_all(lasting):
        for amount in amounts:
            count = used.get((organization_id, amount.meter.name), 0)
            percent = _step(amount, count)
            if percent and (organization_id, amount.meter.name, percent) not in told:
                with tenancy.scope(organization_id):
                    _tell_of(amount, count, percent, now)


def _used(now: datetime) -> dict[tuple[UUID, str], int]:
    """What each organization used of each meter in this month, or has of a stock."""
    stocks = [meter.name for meter in meters.METERS.values() if meter.is_stock]
    days = UsageDay.unscoped.using("console").filter(Q(meter__in=stocks) | Q(day__gte=month_of(now).date()))
    rows = days.order_by().values("organization", "meter").annotate(total=Sum("quantity"))
    return {(row["organization"], row["meter"]): row["total"] for row in rows}


def _told(now: datetime) -> set[tuple[UUID, str, int]]:
    rows = QuotaNotice.unscoped.using("console").filter(period=format_month(month_of(now)))
    return set(rows.values_list("organization", "meter", "percent"))


def _step(amount: Amount, used: int) -> int | None:
    if not amount.included:
        return None
    return next((step for step in STEPS if used * 100 >= amount.included * step), None)


@transaction.atomic
def _tell_of(amount: Amount, used: int, percent: int, now: datetime) -> None:
    key = {"meter": amount.meter.name, "period": format_month(month_of(now)), "percent": percent}
    notice, is_new = QuotaNotice.objects.get_or_create(**key)
    if not is_new:
        return
    data = {
        "percent": percent,
        "meter": amount.meter.label.lower(),
        "used": amount.meter.text(used),
        "included": amount.meter.text(amount.included),
        "consequence": consequence(amount, percent),
    }
    people = Membership.objects.filter(role__in=TOLD_ROLES).values_list("user_id", flat=True)
    notifications.notify("quota.reached", notice, data, to=list(people))


def consequence(amount: Amount, percent: int) -> str:
    if not amount.is_hard:
        return NOT_REFUSED
    if percent < 100:
        return AHEAD
    return STOCK_REFUSED if amount.meter.is_stock else REFUSED
