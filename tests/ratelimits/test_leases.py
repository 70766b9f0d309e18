from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from apps.ratelimits import leases
from apps.ratelimits.rules import Algorithm, Rule
from tests.ratelimits.rules import NOW_MS, rule, steps

rules = st.builds(rule, st.just(Algorithm.LEASES), limit=st.integers(1, 5), window_ms=st.integers(1_000, 5_000))


@given(
    st.lists(st.tuples(steps, rules, st.sampled_from(["take", "release"]), st.sampled_from("abcdefgh")), max_size=40)
)
def test_places_are_held_until_they_end_or_are_released(calls: list[tuple[int, Rule, str, str]]) -> None:
    stored, ends, now_ms = (), {}, NOW_MS
    for step, call, action, id in calls:
        now_ms += step
        stored = leases.aged(stored, call, now_ms)
        ends = {i: min(end, now_ms + call.window_ms) for i, end in ends.items() if end > now_ms}
        assert {lease.id: lease.ends_at_ms for lease in stored} == ends
        is_allowed = leases.wait_ms(stored, call, now_ms) == 0
        assert is_allowed == (len(ends) < call.limit)
        if action == "release":
            stored = leases.released(stored, id)
            ends.pop(id, None)
        elif is_allowed:
            stored = leases.taken(stored, call, now_ms, id)
            ends[id] = now_ms + call.window_ms
        assert leases.remaining(stored, call) == max(0, call.limit - len(ends))


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=8), st.integers(1, 8))
def test_a_refused_call_finds_a_place_exactly_when_it_was_told(lengths: list[int], limit: int) -> None:
    call = rule(Algorithm.LEASES, limit=limit, window_ms=1_000)
    held = leases.aged([leases.Lease(NOW_MS + length, str(i)) for i, length in enumerate(lengths)], call, NOW_MS)
    wait = leases.wait_ms(held, call, NOW_MS)
    assert (wait > 0) == (len(lengths) >= limit)
    if wait:
        for later, is_allowed in ((NOW_MS + wait - 1, False), (NOW_MS + wait, True)):
            assert (leases.wait_ms(leases.aged(held, call, later), call, later) == 0) == is_allowed


def test_a_shorter_time_counts_for_leases_that_are_held() -> None:
    long = rule(Algorithm.LEASES, limit=1, window_ms=60_000)
    held = leases.taken((), long, NOW_MS, "a")
    short = replace(long, window_ms=1_000)
    assert leases.wait_ms(leases.aged(held, short, NOW_MS), short, NOW_MS) == 1_000
