"""Who uses how much of each meter, across organizations, as expressions for the console's list."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.db.models import BigIntegerField, Case, Exists, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce, Now

from apps.usage import meters
from apps.usage.meters import Meter
from apps.usage.models import Entitlement, Override, UsageDay


def with_use(organizations: QuerySet[Any], month: date) -> QuerySet[Any]:
    """Each organization with `<meter>_used` since `month`, `<meter>_of_all` that everybody used, `<meter>_included`."""
    for meter in meters.METERS.values():
        organizations = organizations.annotate(
            **{
                f"{meter}_used": Coalesce(Subquery(_used(meter, month, organization=OuterRef("pk"))), 0),
                f"{meter}_of_all": Coalesce(Subquery(_used(meter, month)), 0),
                f"{meter}_included": _included(meter),
            }
        )
    return organizations


def _used(meter: Meter, month: date, **whose: Any) -> QuerySet[Any]:
    days = Q() if meter.is_stock else Q(day__gte=month)
    rows = UsageDay.unscoped.filter(days, meter=meter.name, **whose).order_by()
    return rows.values("meter").annotate(used=Sum("quantity", output_field=BigIntegerField())).values("used")


def _included(meter: Meter) -> Case:
    given = Override.unscoped.filter(organization=OuterRef("pk"), meter=meter.name, ends_at__gt=Now())
    planned = Entitlement.objects.filter(plan=OuterRef("plan"), meter=meter.name)
    overridden = Subquery(given.order_by("-id").values("included")[:1])
    return Case(
        When(Exists(given), then=overridden),
        default=Subquery(planned.values("included")[:1]),
        output_field=BigIntegerField(null=True),
    )
