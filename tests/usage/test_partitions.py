"""The ledger by months: each event lies in the partition of its id, and nothing goes around the whole table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from apps.core import tenancy
from apps.core.ids import uuid7
from apps.usage.models import UsageEvent, UsageSum

pytestmark = pytest.mark.django_db


def recorded(at: datetime, **fields: Any) -> UsageEvent:
    return UsageEvent.objects.create(**{"id": uuid7(at), "meter": "tokens", "quantity": 1, "occurred_at": at, **fields})


def partition_of(event: UsageEvent) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM usage_usageevent WHERE id = %s", [event.pk])
        return str(cursor.fetchone()[0])


def partitions() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relid::regclass::text FROM pg_partition_tree('usage_usageevent') WHERE isleaf")
        return sorted(name for (name,) in cursor.fetchall())


def make_partitions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_make_partitions()")
        return int(cursor.fetchone()[0])


def test_this_month_and_the_three_ahead_have_a_partition_and_a_second_call_makes_none(in_acme: Any) -> None:
    now = timezone.now()
    assert make_partitions() == 0
    assert partition_of(recorded(now)) == f"usage_usageevent_{now:%Y_%m}"
    assert len(partitions()) == 5


def test_an_event_of_a_month_without_partition_is_kept_and_gets_one_later(in_acme: Any) -> None:
    last, first = datetime(2024, 2, 29, 23, 59, 59, 999000, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    february, march = recorded(last), recorded(first)
    assert partition_of(february) == partition_of(march) == "usage_usageevent_default"
    sums = list(UsageSum.objects.order_by("id").values())
    assert make_partitions() == 2
    assert partition_of(february) == "usage_usageevent_2024_02"
    assert partition_of(march) == "usage_usageevent_2024_03"
    assert UsageEvent.objects.count() == 2
    assert list(UsageSum.objects.order_by("id").values()) == sums, "a move is no use"
    recorded(first)
    assert UsageSum.objects.get(at=first).event_count == 2


def test_times_that_cannot_be_real_get_no_partition_of_their_own(in_acme: Any) -> None:
    for year in (1971, 2019, 2400):
        recorded(datetime(year, 6, 1, tzinfo=UTC))
    assert make_partitions() == 0


@pytest.mark.parametrize("name", ["usage_usageevent_default", f"usage_usageevent_{timezone.now():%Y_%m}"])
@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM {}", "DELETE FROM {}", "UPDATE {} SET quantity = 0", "INSERT INTO {} (id) VALUES (uuidv7())"],
)
def test_the_runtime_role_reaches_no_partition_but_through_the_table(in_acme: Any, name: str, statement: str) -> None:
    recorded(timezone.now())
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(name))


def test_a_partition_made_later_is_as_closed(in_acme: Any) -> None:
    recorded(datetime(2024, 2, 1, tzinfo=UTC))
    assert make_partitions() == 1
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM usage_usageevent_2024_02")


@pytest.mark.parametrize("hours", [-24.1, 24.1])
def test_an_id_is_within_a_day_of_its_event(in_acme: Any, hours: float) -> None:
    now = timezone.now()
    with pytest.raises(IntegrityError, match="usage_event_near_its_id"), transaction.atomic():
        recorded(now, id=uuid7(now + timedelta(hours=hours)))


def test_the_same_id_in_two_organizations_is_two_events(acme: Any, globex: Any) -> None:
    now = timezone.now()
    taken = uuid7(now)
    for organization in (acme, globex):
        with tenancy.scope(organization.pk):
            recorded(now, id=taken)
            assert UsageEvent.objects.get().pk == taken


def test_no_event_is_changed(in_acme: Any) -> None:
    recorded(timezone.now())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        UsageEvent.objects.update(quantity=0)
