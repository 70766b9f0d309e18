"""Telling people that much of an included amount is used, once in a period and for each step."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from apps.core.formatting import format_month
from apps.notifications import services as notifications
from apps.organizations.enums import Role
from apps.organizations.models import Membership, Organization
from apps.usage import counting, entitlements
from apps.usage.entitlements import Amount
from apps.usage.models import QuotaNotice
from apps.usage.quotas import month_of

STEPS = (100, 80)
TOLD_ROLES = (Role.OWNER, Role.BILLING)

REFUSED = "More is refused until the month ends, or an operator raises the amount."
STOCK_REFUSED = "More is refused until something is deleted, or an operator raises the amount."
NOT_REFUSED = "Nothing is refused."
AHEAD = "At 100 % more is refused."


def tell(organization: Organization) -> None:
    """Tell the organization's owners and who pays of the highest step that each meter has reached since it was told."""
    now = timezone.now()
    for amount in entitlements.of(organization).values():
        if amount.included:
            _tell_of(amount, counting.used(amount.meter, now), now)


@transaction.atomic
def _tell_of(amount: Amount, used: int, now: datetime) -> None:
    percent = next((step for step in STEPS if used * 100 >= (amount.included or 0) * step), None)
    if percent is None:
        return
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
