"""A profile tells of each column what a plain computation over all of its values tells."""

from __future__ import annotations

import json
import math
import statistics
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.datasets import profiling
from apps.datasets.enums import ColumnKind
from apps.datasets.profiling import MAX_BINS, ColumnProfile, histogram_edges, profile, profile_column
from apps.datasets.reading import ColumnType, read_csv


def profiled(values: pl.Series, kind: ColumnKind) -> ColumnProfile:
    found = profile_column(ColumnType("c", kind), values)
    json.dumps(found.to_json(), allow_nan=False)
    return found


def test_every_column_of_a_file_is_profiled(tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "a.parquet"
    source.write_text("n,area,seen\n3,north,2024-01-01\n1,south,\n,north,2024-01-03\n")
    read_csv(source, target)
    shares: list[float] = []
    n, area, seen = profile(target, shares.append)
    assert shares == [1 / 3, 2 / 3, 1]
    assert (n.name, n.kind, n.count, n.missing, n.distinct) == ("n", "integer", 3, 1, 2)
    assert (n.minimum, n.maximum, n.mean) == (1, 3, 2)
    assert [(top.value, top.count) for top in area.top] == [("north", 2), ("south", 1)]
    assert (seen.minimum, seen.maximum, seen.missing) == ("2024-01-01", "2024-01-03", 1)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60))
def test_moments_and_quantiles_are_those_of_the_values(values: list[float]) -> None:
    found = profiled(pl.Series("c", values, dtype=pl.Float64), ColumnKind.FLOAT)
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert found.std == pytest.approx(statistics.stdev(values), abs=1e-3)
    assert (found.minimum, found.maximum) == (min(values), max(values))
    assert found.quantiles["0.5"] == pytest.approx(statistics.median(values), abs=1e-6)
    assert found.distinct == len(set(values))


@settings(deadline=None)
@given(st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=60))
def test_each_number_is_in_exactly_one_bin(values: list[float]) -> None:
    histogram = profiled(pl.Series("c", values, dtype=pl.Float64), ColumnKind.FLOAT).histogram
    assert histogram is not None
    assert sum(histogram.counts) == len(values)
    assert len(histogram.edges) == len(histogram.counts) + 1
    assert 1 <= len(histogram.counts) <= MAX_BINS


@settings(deadline=None)
@given(st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=60))
def test_integer_bins_have_whole_edges_and_hold_every_value(values: list[int]) -> None:
    edges = histogram_edges(min(values), max(values), is_integer=True)
    widths = {right - left for left, right in pairwise(edges)}
    assert len(widths) == 1
    assert all(isinstance(edge, int) for edge in edges)
    assert edges[0] <= min(values) <= max(values) < edges[-1]
    assert len(edges) - 1 <= MAX_BINS


def test_few_integers_get_a_bin_each() -> None:
    histogram = profiled(pl.Series([1, 1, 2, 5]), ColumnKind.INTEGER).histogram
    assert histogram is not None
    assert histogram.edges == [1, 2, 3, 4, 5, 6]
    assert histogram.counts == [2, 1, 0, 0, 1]


def test_float_edges_are_round_numbers() -> None:
    assert histogram_edges(0.13, 0.98, is_integer=False) == [pytest.approx(0.1 + 0.05 * i) for i in range(19)]
    assert 0.15000000000000002 not in histogram_edges(0.13, 0.98, is_integer=False)


@given(st.floats(-1e150, 1e150), st.floats(-1e150, 1e150))
def test_edges_enclose_the_range_in_order(first: float, second: float) -> None:
    low, high = min(first, second), max(first, second)
    edges = histogram_edges(low, high, is_integer=False)
    assert edges[0] <= low
    assert high <= edges[-1]
    assert edges == sorted(edges)
    assert all(math.isfinite(edge) for edge in edges)


def test_dates_and_times_are_told_as_iso_texts() -> None:
    days = profiled(pl.Series([date(2024, 1, 1), date(2024, 1, 11)]), ColumnKind.DATE)
    assert (days.minimum, days.maximum, days.quantiles["0.5"]) == ("2024-01-01", "2024-01-11", "2024-01-06")
    times = profiled(pl.Series([datetime(1969, 12, 31, 23), datetime(2024, 1, 1, 12)]), ColumnKind.DATETIME)
    assert (times.minimum, times.maximum) == ("1969-12-31T23:00:00", "2024-01-01T12:00:00")
    assert times.histogram is not None
    assert sum(times.histogram.counts) == 2


def test_the_last_day_of_the_calendar_can_be_profiled() -> None:
    never = profiled(pl.Series([date(2024, 1, 1), date(9999, 12, 31)]), ColumnKind.DATE)
    assert never.maximum == "9999-12-31"
    assert never.histogram is not None
    assert never.histogram.edges[-1] == "9999-12-31"


def test_the_most_common_values_are_in_a_stable_order() -> None:
    top = profiled(pl.Series(["b", "a", "c", "c", *"defghijklm"]), ColumnKind.CATEGORY).top
    assert [(value.value, value.count) for value in top[:3]] == [("c", 2), ("a", 1), ("b", 1)]
    assert len(top) == 10


def test_text_lengths_count_characters() -> None:
    found = profiled(pl.Series(["é", "日本語", "x" * 500]), ColumnKind.TEXT)
    assert found.length is not None
    assert (found.length.minimum, found.length.maximum) == (1, 500)
    assert max(len(str(top.value)) for top in found.top) == 200


@pytest.mark.parametrize(
    ("values", "kind", "warnings"),
    [
        (pl.Series([None, None], dtype=pl.String), ColumnKind.TEXT, ["all_null"]),
        (pl.Series([5, 5, None]), ColumnKind.INTEGER, ["constant"]),
        (pl.Series([1, 2, *[None] * 30]), ColumnKind.INTEGER, ["mostly_null"]),
        (pl.Series(["a1", "b2"]), ColumnKind.ID, ["id_like"]),
        (pl.Series([*["12", "13,5", "7"] * 20, "unknown"]), ColumnKind.CATEGORY, ["mixed"]),
        (pl.Series(["12", "13", "many", "few"]), ColumnKind.CATEGORY, []),
        (pl.Series([True, False]), ColumnKind.BOOLEAN, []),
    ],
)
def test_a_suspicious_column_is_warned_of(values: pl.Series, kind: ColumnKind, warnings: list[str]) -> None:
    assert profiled(values, kind).warnings == warnings


def test_distinct_values_of_a_huge_column_are_an_estimate_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "EXACT_DISTINCT_ROWS", 1000)
    found = profiled(pl.Series(range(20_000)), ColumnKind.INTEGER)
    assert found.distinct_is_estimate
    assert found.distinct == pytest.approx(20_000, rel=0.05)
    assert not profiled(pl.Series(range(1000)), ColumnKind.INTEGER).distinct_is_estimate
