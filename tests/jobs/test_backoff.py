from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.backoff import Backoff


@given(attempt=st.integers(1, 10_000), draw=st.floats(0, 1, exclude_max=True))
def test_the_delay_stays_between_nothing_and_the_cap(attempt: int, draw: float) -> None:
    assert 0 <= Backoff().delay_s(attempt, draw) <= Backoff().cap_s


def test_the_ceiling_doubles_with_each_attempt() -> None:
    assert [Backoff().delay_s(n, 0.5) for n in (1, 2, 3)] == [1.0, 2.0, 4.0]
