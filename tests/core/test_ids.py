from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from apps.core.ids import derived_uuid7, uuid7


def test_an_id_is_a_version_7_uuid_of_the_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_ids_of_one_millisecond_sort_by_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1_700_000_000_000_000_000, 1_700_000_000_001_000_000, 1_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    ids = [uuid7() for _ in range(1_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1_000


@given(at=st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1), timezones=st.just(UTC)))
def test_an_id_can_be_of_another_moment(at: datetime) -> None:
    made = uuid7(at)
    assert made.version == 7
    assert made.int >> 80 == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


MOMENT = datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)


def test_a_derived_id_is_the_same_for_the_same_moment_and_name_and_another_for_others() -> None:
    made = derived_uuid7(MOMENT, "trial:1")
    assert made == derived_uuid7(MOMENT, "trial:1")
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(MOMENT.timestamp() * 1000)
    others = {derived_uuid7(MOMENT, "trial:2"), derived_uuid7(MOMENT - timedelta(milliseconds=1), "trial:1")}
    assert len({made, *others}) == 3


def test_the_database_derives_the_same_ids(db: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT usage_derived_id(%s, %s)", [MOMENT, "Zürich"])
        assert cursor.fetchone() == (derived_uuid7(MOMENT, "Zürich"),)
