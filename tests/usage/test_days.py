"""A day of usage is the reader's day, and what it holds is the sum of the ledger's rows all the same (P3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from apps.accounts import services as accounts
from apps.core import tenancy
from apps.core.ids import uuid7
from apps.core.time_ranges import MONTH
from apps.logs import queries as logs
from apps.logs.models import CallRecord
from apps.usage import queries, services

pytestmark = pytest.mark.django_db

ZONES = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]
CHANGES = [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]


def every_quarter(around: datetime) -> list[datetime]:
    """Each quarter of an hour of the days around a changed clock."""
    return [around - timedelta(days=1) + number * timedelta(minutes=15) for number in range(3 * 96)]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("zone", ZONES)
def test_p3_each_day_of_a_zone_holds_what_happened_on_it(zone: str, change: datetime, in_acme: Any) -> None:
    moments = every_quarter(change)
    for at in moments:
        services.record("predictions", 1, event_id=uuid7(at), occurred_at=at)
    now = (change + timedelta(days=3)).astimezone(ZoneInfo(zone))
    (used,) = queries.usage_by_meter({}, MONTH, now)
    expected: dict[Any, int] = {}
    for at in moments:
        day = at.astimezone(now.tzinfo).date()
        expected[day] = expected.get(day, 0) + 1
    assert {at.astimezone(now.tzinfo).date(): quantity for at, quantity in used.by_step.items()} == expected
    assert used.quantity == len(moments)


@pytest.mark.parametrize(
    ("change", "quarters"), [(CHANGES[0], 23 * 4), (CHANGES[1], 25 * 4)], ids=["23 hours", "25 hours"]
)
def test_a_day_of_23_or_25_hours_is_one_point_of_a_plot(change: datetime, quarters: int, in_acme: Any) -> None:
    for at in every_quarter(change):
        services.record("predictions", 1, event_id=uuid7(at), occurred_at=at)
    now = (change + timedelta(days=3)).astimezone(ZoneInfo("Europe/Berlin"))
    (used,) = queries.usage_by_meter({}, MONTH, now)
    rows = {row.label[:10]: row.cells[0] for row in used.chart(MONTH.steps(now), now.tzinfo).rows}
    assert rows[f"{change:%Y-%m-%d}"] == str(quarters)


def test_the_page_of_usage_begins_its_days_at_the_readers_midnight(as_owner: Client, owner: Any, acme: Any) -> None:
    accounts.choose_time_zone(owner, "Asia/Kathmandu")
    with tenancy.scope(acme.pk):
        services.record("predictions", 1, event_id=uuid7())
    page = as_owner.get("/o/acme/usage/", {"range": "30d"}).content.decode()
    assert page.count("00:00 UTC+05:45</th>") == 30
    assert "00:00 UTC</th>" not in page


def test_the_api_of_usage_keeps_to_utcs_days(api_owner: Any, owner: Any, acme: Any) -> None:
    accounts.choose_time_zone(owner, "Asia/Kathmandu")
    assert api_owner.get("/api/v1/usage/", {"range": "30d"}).json()["start"].endswith("T00:00:00Z")


@pytest.mark.parametrize("zone", ZONES)
def test_calls_are_counted_by_the_readers_day(zone: str, in_acme: Any) -> None:
    moments = every_quarter(CHANGES[1])
    CallRecord.objects.bulk_create([_call(at) for at in moments])
    now = (CHANGES[1] + timedelta(days=3)).astimezone(ZoneInfo(zone))
    drawn = logs.call_charts(logs.filtered({}, MONTH, now), MONTH, now)
    shown = {row.label[:10]: int(row.cells[0]) for row in drawn.calls.rows if row.cells[0] != "0"}
    days = [f"{at.astimezone(now.tzinfo):%Y-%m-%d}" for at in moments]
    assert shown == {day: days.count(day) for day in days}


def _call(at: datetime) -> CallRecord:
    sizes = {"request_bytes": 1, "response_bytes": 1, "latency_us": 1}
    return CallRecord(id=uuid7(), occurred_at=at, request_id="req", method="POST", path="/", status=200, **sizes)
