from __future__ import annotations

import time
import uuid

import pytest

from apps.core.ids import uuid7


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
