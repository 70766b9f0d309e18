"""The window of cells beside an exact log of all that was taken."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from apps.ratelimits import window
from apps.ratelimits.rules import LONGEST_MS, Algorithm, Rule
from tests.ratelimits.rules import MOST, NOW_MS, costs, limits, pauses, rule, rules_of, steps, windows

rules = rules_of(Algorithm.WINDOW)
small_pauses = st.one_of(st.integers(0, 3), st.integers(0, 40))


class Log:
    """Each taking with its moment, as the clock that stepped back would have it."""

    def __init__(self) -> None:
        self.takings: list[tuple[int, int]] = []

    def look(self, now_ms: int) -> None:
        self.takings = [(min(at_ms, now_ms), quantity) for at_ms, quantity in self.takings]

    def forget(self, now_ms: int, length_ms: int) -> None:
        """What was written without them does not have them when the clock steps back."""
        self.takings = [(at_ms, quantity) for at_ms, quantity in self.takings if at_ms > now_ms - length_ms]

    def total(self, now_ms: int, length_ms: int) -> int:
        return sum(quantity for at_ms, quantity in self.takings if at_ms > now_ms - length_ms)

    def moments(self, now_ms: int, length_ms: int) -> int:
        return len({at_ms for at_ms, _ in self.takings if at_ms > now_ms - length_ms})


def total(cells: window.Cells) -> int:
    return sum(cell.quantity for cell in cells)


def wait(cells: window.Cells | None, call: Rule, now_ms: int) -> int:
    return window.wait_ms(window.aged(cells, call, now_ms), call, now_ms)


@given(st.lists(st.tuples(steps, rules), max_size=20))
def test_few_takings_are_an_exact_log_whatever_the_times_and_limits(calls: list[tuple[int, Rule]]) -> None:
    stored, log, now_ms, length = None, Log(), NOW_MS, 60_000
    for step, drawn in calls:
        call = replace(drawn, window_ms=length)
        now_ms += step
        log.look(now_ms)
        cells = window.aged(stored, call, now_ms)
        if stored and window.is_stale(stored, call, now_ms):
            stored = cells
            log.forget(now_ms, length)
        assert total(cells) == log.total(now_ms, length)
        is_allowed = window.wait_ms(cells, call, now_ms) == 0
        assert is_allowed == (log.total(now_ms, length) + call.cost <= call.limit)
        if is_allowed:
            stored = window.taken(cells, call, now_ms, call.cost)
            log.forget(now_ms, length)
            log.takings.append((now_ms, call.cost))


@given(
    st.integers(1_000, 1_300), limits, st.lists(st.tuples(small_pauses, st.integers(0, 3)), min_size=80, max_size=250)
)
def test_many_takings_never_pass_the_limit_and_count_a_cell_longer_at_most(
    length: int, limit: int, calls: list[tuple[int, int]]
) -> None:
    stored, log, now_ms, cell_ms = None, Log(), NOW_MS, -(-length // window.CELLS)
    for pause, cost in calls:
        now_ms += pause
        call = rule(Algorithm.WINDOW, limit=limit, window_ms=length, cost=cost)
        cells = window.aged(stored, call, now_ms)
        assert len(cells) <= window.CELLS + 1
        assert log.total(now_ms, length) <= total(cells) <= log.total(now_ms, length + cell_ms - 1)
        if log.moments(now_ms, 3 * length) <= window.CELLS:
            assert total(cells) == log.total(now_ms, length)
        if window.wait_ms(cells, call, now_ms) == 0:
            stored = window.taken(cells, call, now_ms, cost)
            log.takings.append((now_ms, cost))
            assert log.total(now_ms, length) <= limit or cost == 0


@given(windows, limits, costs, st.lists(st.tuples(pauses, costs), max_size=20))
def test_a_refused_call_passes_exactly_when_it_was_told(
    length: int, limit: int, cost: int, takings: list[tuple[int, int]]
) -> None:
    call, stored, now_ms = rule(Algorithm.WINDOW, limit=limit, window_ms=length, cost=cost), None, NOW_MS
    for pause, quantity in takings:
        now_ms += pause
        stored = window.taken(window.aged(stored, call, now_ms), call, now_ms, quantity)
    told = wait(stored, call, now_ms)
    assert (told == -1) == (cost > limit)
    if 0 < told < LONGEST_MS:
        assert wait(stored, call, now_ms + told - 1) == 1
        assert wait(stored, call, now_ms + told) == 0
    cells = window.aged(stored, call, now_ms)
    assert window.aged(cells, call, now_ms + window.reset_after_ms(cells, call, now_ms)) == ()


@given(
    st.integers(1_000, 1_300),
    st.lists(st.tuples(small_pauses, st.integers(1, 9), st.integers(0, 15), st.integers(0, 600)), max_size=120),
)
def test_settled_takings_count_as_if_only_what_was_used_had_been_taken(
    length: int, takings: list[tuple[int, int, int, int]]
) -> None:
    """Each is settled after a pause of its own; what was used beyond the estimate counts at that moment."""
    call, cell_ms = rule(Algorithm.WINDOW, limit=MOST, window_ms=length), -(-length // window.CELLS)
    events, at_ms = [], NOW_MS
    for number, (pause, cost, actual, duration) in enumerate(takings):
        at_ms += pause
        events += [(at_ms, 0, number, at_ms, cost, cost), (at_ms + duration, 1, number, at_ms, cost, actual)]
    stored, log = None, {}
    for now_ms, is_settled, number, taken_at, cost, actual in sorted(events):
        cells = window.aged(stored, call, now_ms)
        if not is_settled or actual > cost:
            log[number, is_settled] = (now_ms, actual - cost if is_settled else cost)
            stored = window.taken(cells, call, now_ms, log[number, is_settled][1])
        else:
            log[number, 0] = (taken_at, actual)
            stored = window.given_back(cells, call, now_ms, cost - actual, taken_at, 0)
        sums = [sum(q for at, q in log.values() if at > now_ms - span) for span in (length, length + cell_ms - 1)]
        assert sums[0] <= total(stored) <= sums[1]


@given(st.lists(st.tuples(steps, rules, st.booleans()), max_size=40))
def test_any_change_of_window_limit_and_clock_keeps_it_small_and_no_wait_longer_than_a_window(
    calls: list[tuple[int, Rule, bool]],
) -> None:
    stored, now_ms = None, NOW_MS
    for step, call, gives_back in calls:
        now_ms += step
        cells = window.aged(stored, call, now_ms)
        assert window.wait_ms(cells, call, now_ms) <= call.window_ms
        assert len(cells) <= window.CELLS + 1
        assert all(cell.quantity > 0 for cell in cells)
        change = window.given_back if gives_back else window.taken
        stored = change(cells, call, now_ms, call.cost, *([now_ms - step, 0] if gives_back else []))


def test_a_raised_limit_frees_a_refused_caller_at_once() -> None:
    call = rule(Algorithm.WINDOW, limit=1, window_ms=60_000)
    cells = window.taken((), call, NOW_MS, 1)
    assert window.wait_ms(cells, call, NOW_MS) == 60_000
    assert window.wait_ms(cells, replace(call, limit=2), NOW_MS) == 0
