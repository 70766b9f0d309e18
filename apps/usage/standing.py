"""How much of each amount is used, and when it runs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db.models import F, Q, Sum

from apps.core.formatting import format_day_of_month
from apps.organizations.models import Organization
from apps.usage import entitlements, meters
from apps.usage.entitlements import Amount
from apps.usage.forecasting import A_DAY, PATTERN_DAYS, Forecast, Outlook, forecast
from apps.usage.meters import Meter
from apps.usage.models import UsageDay
from apps.usage.quotas import month_of, next_month

STOCK_HORIZON = timedelta(days=365)
STOCKS = [meter.name for meter in meters.METERS.values() if meter.is_stock]
Days = Mapping[date, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one meter stands in this month, or now. Without an included amount there is no forecast."""

    amount: Amount
    used: int
    period_end: datetime | None
    forecast: Forecast | None

    @property
    def meter(self) -> Meter:
        return self.amount.meter

    @property
    def share(self) -> float | None:
        return self.used / self.amount.included if self.amount.included else None

    @property
    def bar(self) -> float:
        """How much of the bar is full."""
        full = 1.0 if self.used else 0.0
        return min(max(full if self.share is None else self.share, 0.0), 1.0)

    @property
    def tone(self) -> str:
        return "danger" if self.is_used_up else "warning" if (self.share or 0.0) >= 0.8 else ""

    @property
    def is_used_up(self) -> bool:
        return self.amount.included is not None and self.used >= self.amount.included

    @property
    def used_text(self) -> str:
        return self.meter.text(self.used)

    @property
    def included_text(self) -> str:
        return entitlements.amount_text(self.meter.name, self.amount.included)

    @property
    def outlook(self) -> str:
        """The forecast in words."""
        if self.forecast is None:
            return ""
        match self.forecast.outlook:
            case Outlook.USED_UP:
                return "Used up: more is refused" if self.amount.is_hard else "Used up: nothing is refused"
            case Outlook.TOO_EARLY:
                return "Too early to tell when it runs out"
            case Outlook.RUNS_OUT if self.forecast.day:
                day = datetime.combine(self.forecast.day, datetime.min.time(), UTC)
                return f"Runs out on {format_day_of_month(day)} at this rate"
        if self.meter.is_stock:
            return "Lasts more than a year at this rate"
        return f"About {self.meter.text(self.forecast.expected)} by the end of the month at this rate"


def standings(organization: Organization, now: datetime) -> list[Standing]:
    """Every known meter, in the order of the table of meters."""
    start = min(month_of(now).date(), now.astimezone(UTC).date() - PATTERN_DAYS * A_DAY)
    stocks = Q(meter__in=STOCKS)
    rows = UsageDay.objects.filter(stocks | Q(day__gte=start)).order_by().values("meter", on=F("day"))
    days: dict[str, dict[date, int]] = {}
    for row in rows.annotate(total=Sum("quantity")):
        days.setdefault(row["meter"], {})[row["on"]] = row["total"]
    return [_standing(amount, days.get(name, {}), now) for name, amount in entitlements.of(organization).items()]


def _standing(amount: Amount, days: Days, now: datetime) -> Standing:
    since = date.min if amount.meter.is_stock else month_of(now).date()
    used = sum(quantity for day, quantity in days.items() if day >= since)
    end = None if amount.meter.is_stock else next_month(now)
    if amount.included is None:
        return Standing(amount, used, end, None)
    told = forecast(_whole_days(days, now), used, amount.included, now, end or now + STOCK_HORIZON)
    return Standing(amount, used, end, told)


def _whole_days(days: Days, now: datetime) -> list[int]:
    """The last four weeks up to yesterday, from the first day that something is known of."""
    today = now.astimezone(UTC).date()
    first = max(min(days, default=today), today - PATTERN_DAYS * A_DAY)
    return [days.get(first + number * A_DAY, 0) for number in range((today - first).days)]
