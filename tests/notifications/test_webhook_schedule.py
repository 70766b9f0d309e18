"""When a message is sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from apps.notifications.webhooks import schedule

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def moments() -> list[timedelta]:
    """After how long each attempt is made of a message that nobody takes."""
    found, now = [timedelta(0)], BEGAN
    while next_at := schedule.next_attempt(len(found), BEGAN, now):
        now = next_at
        found.append(now - BEGAN)
    return found


def test_attempts_are_close_together_at_first_and_end_after_72_hours() -> None:
    hours = [round(moment / timedelta(hours=1), 2) for moment in moments()]
    assert hours == [0.0, 0.0, 0.08, 0.58, 2.58, 7.58, 17.58, 27.58, 37.58, 47.58, 57.58, 67.58, 72.0]
    assert moments()[1] == timedelta(seconds=5)


@given(st.timedeltas(timedelta(0), timedelta(hours=72)))
def test_p4_whenever_an_endpoint_recovers_within_72_hours_an_attempt_follows(recovered_after: timedelta) -> None:
    assert any(moment >= recovered_after for moment in moments())
