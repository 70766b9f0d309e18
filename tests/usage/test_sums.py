"""The half-hourly sums are the ledger's rows added up, whatever is written, how often, and by how many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.core import tenancy
from apps.core.ids import derived_uuid7, uuid7
from apps.core.postgres.aggregates import TimeStep
from apps.usage.models import DIMENSIONS, UsageDay, UsageEvent, UsageSum

START = datetime(2025, 3, 30, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


Rows = set[tuple[Any, ...]]


def added_up() -> tuple[Rows, Rows]:
    """The ledger's rows by half hour and by day."""
    rows = UsageEvent.objects.order_by()
    by_half_hour = rows.values_list("meter", *DIMENSIONS, TimeStep(HALF_HOUR, "occurred_at"))
    by_day = rows.values_list("meter", *DIMENSIONS, TruncDate("occurred_at", tzinfo=UTC))
    counted = {"quantity": Sum("quantity"), "cost": Sum("cost_micro_usd"), "events": Count("id")}
    return set(by_half_hour.annotate(**counted)), set(by_day.annotate(**counted))


def sums() -> tuple[Rows, Rows]:
    names, totals = ("meter", *DIMENSIONS), ("quantity", "cost_micro_usd", "event_count")
    return (
        set(UsageSum.objects.values_list(*names, "at", *totals)),
        set(UsageDay.objects.values_list(*names, "day", *totals)),
    )


dimensions = st.fixed_dictionaries({}, optional={name: st.sampled_from(["a", "b", "c" * 200]) for name in DIMENSIONS})
events = st.builds(
    dict,
    id=st.integers(1, 12).map(lambda number: derived_uuid7(START, str(number))),
    meter=st.sampled_from(["predictions", "tokens"]),
    quantity=st.integers(0, 2**40),
    cost_micro_usd=st.none() | st.integers(0, 2**40),
    occurred_at=st.integers(-7200, 7200).map(lambda seconds: START + timedelta(seconds=seconds)),
    dimensions=dimensions,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(events, max_size=8), max_size=4))
def test_the_sums_are_the_rows_added_up_also_when_events_come_twice(in_acme: Any, batches: list[list[Any]]) -> None:
    with transaction.atomic():
        for batch in batches:
            rows = [UsageEvent(**fields) for fields in batch]
            UsageEvent.objects.bulk_create(rows, ignore_conflicts=True)
        assert sums() == added_up()
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_lose_nothing_and_do_not_block_each_other(acme: Any) -> None:
    def write(number: int) -> None:
        with tenancy.scope(acme.pk):
            for turn in range(10):
                order = [*range(8)] if (number + turn) % 2 else [*range(8)][::-1]
                UsageEvent.objects.bulk_create(
                    UsageEvent(
                        id=uuid7(START),
                        meter="predictions",
                        quantity=1,
                        occurred_at=START + step * HALF_HOUR,
                        dimensions={"model": str(step)},
                    )
                    for step in order
                )
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with tenancy.scope(acme.pk):
        assert sums() == added_up()
        assert UsageSum.objects.aggregate(Sum("quantity"))["quantity__sum"] == 4 * 10 * 8


def test_another_organizations_use_is_in_no_sum(in_acme: Any, globex: Any) -> None:
    with tenancy.scope(globex.pk):
        UsageEvent.objects.create(id=uuid7(START), meter="predictions", quantity=5, occurred_at=START)
        assert UsageSum.objects.get().quantity == 5
    assert not UsageSum.objects.exists()
