"""Rules and times as the limiter's property tests draw them: mostly small, sometimes as large as is allowed."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from apps.ratelimits.rules import Algorithm, Rule

NOW_MS = 1_800_000_000_000
MOST = 10**12
LONGEST_WINDOW_MS = 31 * 24 * 60 * 60 * 1000

windows = st.one_of(st.sampled_from([1_000, 1_001, 60_000, LONGEST_WINDOW_MS]), st.integers(1_000, LONGEST_WINDOW_MS))
limits = st.one_of(st.integers(1, 20), st.integers(1, MOST), st.just(MOST))
costs = st.one_of(st.integers(0, 5), st.integers(0, MOST), st.just(MOST))
pauses = st.one_of(st.integers(0, 3), st.integers(0, 2_000), st.integers(0, 2 * LONGEST_WINDOW_MS))
steps = st.one_of(pauses, pauses.map(lambda pause: -pause))


def rule(algorithm: Algorithm = Algorithm.GCRA, **changes: Any) -> Rule:
    fields = {"limit": 10, "window_ms": 1_000, "burst": 10, "cost": 1, **changes}
    return Rule(fields.pop("key", "limits:{acme}:p"), "p", algorithm, **fields)


def rules_of(algorithm: Algorithm) -> st.SearchStrategy[Rule]:
    return st.builds(rule, st.just(algorithm), limit=limits, window_ms=windows, burst=limits, cost=costs)
