import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import charts
from apps.core.formatting import ABSENT

FINITE = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6)
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)


def times(count: int, step: timedelta = timedelta(minutes=1)) -> list[datetime]:
    return [START + number * step for number in range(count)]


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)]


@given(FINITE, FINITE, st.integers(min_value=2, max_value=10))
def test_ticks_enclose_the_values_evenly_and_stay_few(one: float, other: float, intervals: int) -> None:
    low, high = sorted((one, other))

    ticks = charts.nice_ticks(low, high, intervals)

    slack = 1e-6 * max(abs(low), abs(high), 1.0)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= intervals + 2
    steps = [after - before for before, after in pairwise(ticks)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-6)


def test_ticks_are_round_numbers() -> None:
    assert charts.nice_ticks(0, 0.87) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert charts.nice_ticks(0, 17.3) == [0.0, 5.0, 10.0, 15.0, 20.0]
    assert charts.nice_ticks(-3, 6) == [-5.0, -2.5, 0.0, 2.5, 5.0, 7.5]


def test_an_axis_of_counts_has_no_halves() -> None:
    chart = charts.time_series("Calls", times(2), [charts.Series("Calls", [0, 1])])

    assert [tick.label for tick in chart.y_ticks] == ["0", "1"]


def test_a_chart_whose_every_value_is_missing_is_empty_and_one_of_zeros_is_not() -> None:
    assert charts.time_series("x", times(2), [charts.Series("a", [None, None])]).is_empty
    assert not charts.time_series("x", times(2), [charts.Series("a", [0, None])]).is_empty


def test_ticks_of_a_constant_include_zero() -> None:
    assert charts.nice_ticks(7.0, 7.0)[0] == 0.0
    assert charts.nice_ticks(0.0, 0.0) == [0.0, 0.25, 0.5, 0.75, 1.0]


@given(st.integers(min_value=1, max_value=500_000_000), st.integers(min_value=2, max_value=12))
def test_time_ticks_lie_inside_the_span_and_stay_within_the_limit(seconds: int, limit: int) -> None:
    end = START + timedelta(seconds=seconds)

    ticks = charts.time_ticks(START, end, limit)

    assert len(ticks) <= limit
    assert all(START <= tick <= end for tick in ticks)
    assert ticks == sorted(set(ticks))


def test_time_ticks_fall_on_round_times() -> None:
    ticks = charts.time_ticks(START, START + timedelta(hours=6))

    assert [f"{tick:%H:%M}" for tick in ticks] == ["10:00", "11:00", "12:00", "13:00", "14:00", "15:00"]


def labels(chart: charts.TimeSeries) -> list[str]:
    return [tick.label for tick in chart.x_ticks]


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"])
def test_an_axis_is_labelled_with_round_times_and_midnights_of_its_zone(zone: str) -> None:
    start = START.astimezone(ZoneInfo(zone))
    hours = charts.time_ticks(start, start + timedelta(hours=6))
    assert {(tick.minute, tick.second) for tick in hours} == {(0, 0)}
    days = charts.time_ticks(start, start + timedelta(days=30))
    assert {(tick.hour, tick.minute) for tick in days} == {(0, 0)}


def test_the_hour_that_a_clock_leaves_out_has_no_place_on_the_axis() -> None:
    midnight = datetime(2026, 3, 29, tzinfo=BERLIN).astimezone(UTC)
    hours = [(midnight + number * timedelta(hours=1)).astimezone(BERLIN) for number in range(6)]
    chart = charts.time_series("x", hours, [charts.Series("a", [1.0] * 6)])
    assert labels(chart) == ["00:00", "01:00", "03:00", "04:00", "05:00", "06:00"]
    assert [tick.position for tick in chart.x_ticks] == [0, 20, 40, 60, 80, 100]
    assert [row.label[11:] for row in chart.rows][1:3] == ["01:00 UTC+01:00", "03:00 UTC+02:00"]


def test_the_hour_that_a_clock_shows_twice_has_two_places_and_two_names() -> None:
    midnight = datetime(2026, 10, 25, tzinfo=BERLIN).astimezone(UTC)
    hours = [(midnight + number * timedelta(hours=1)).astimezone(BERLIN) for number in range(6)]
    chart = charts.time_series("x", hours, [charts.Series("a", [1.0] * 6)])
    assert labels(chart) == ["00:00", "01:00", "02:00", "02:00", "03:00", "04:00"]
    assert [tick.position for tick in chart.x_ticks] == [0, 20, 40, 60, 80, 100]
    assert [row.label[11:] for row in chart.rows][2:4] == ["02:00 UTC+02:00", "02:00 UTC+01:00"]


def test_a_day_of_25_hours_is_that_much_wider() -> None:
    days = [datetime(2026, 10, 24 + number, tzinfo=BERLIN) for number in range(3)]
    chart = charts.time_series("x", days, [charts.Series("a", [1.0] * 3)])
    assert [hit.centre for hit in chart.hits] == [0, round(100 * 24 / 49, 3), 100]


@given(st.lists(st.none() | FINITE, min_size=1, max_size=40))
def test_every_point_lies_inside_the_plot_and_gaps_break_the_line(values: list[float | None]) -> None:
    chart = charts.time_series("x", times(len(values)), [charts.Series("a", values)])

    line = chart.lines[0]
    drawn = [point for path in line.paths + line.points for point in points(path)]
    assert all(0 <= x <= 1000 for x, _ in drawn)
    assert all(charts.TOP - 0.1 <= y <= chart.bottom + 0.1 for _, y in drawn)
    known = sum(value is not None for value in values)
    # A lonely value is drawn as a line to itself, which round caps make a dot.
    assert all(len(points(path)) == 2 and len(set(points(path))) == 1 for path in line.points)
    assert all(len(points(path)) > 1 for path in line.paths)
    assert len(drawn) - len(line.points) == known


@given(st.integers(min_value=1, max_value=60))
def test_the_strips_for_the_pointer_cover_the_plot_once(count: int) -> None:
    chart = charts.time_series("x", times(count), [charts.Series("a", [1.0] * count)])

    assert len(chart.hits) == len(chart.rows) == count
    assert chart.hits[0].left == 0
    assert sum(hit.width for hit in chart.hits) == pytest.approx(100, abs=0.1)
    assert all(hit.left <= hit.centre <= hit.left + hit.width + 0.001 for hit in chart.hits)


def test_a_higher_value_is_drawn_higher_and_zero_at_the_bottom() -> None:
    chart = charts.time_series("x", times(3), [charts.Series("a", [0.0, 5.0, 10.0])])

    heights = [y for _, y in points(chart.lines[0].paths[0])]
    assert heights[0] == chart.bottom
    assert heights[0] > heights[1] > heights[2]


def test_the_table_behind_a_chart_has_its_exact_values() -> None:
    series = [charts.Series("p50", [1.5, None]), charts.Series("p95", [2.0, 4.25])]

    chart = charts.time_series("Latency", times(2), series, text=lambda value: f"{value} ms")

    assert chart.columns == ("Time", "p50", "p95")
    assert [row.label for row in chart.rows] == ["2026-01-05 09:30 UTC", "2026-01-05 09:31 UTC"]
    assert [row.cells for row in chart.rows] == [("1.5 ms", "2.0 ms"), (ABSENT, "4.25 ms")]


def test_only_markers_inside_the_time_range_are_drawn() -> None:
    inside, outside = charts.Marker(START + timedelta(minutes=5), "v2"), charts.Marker(START - timedelta(days=1), "v1")

    chart = charts.time_series("x", times(11), [charts.Series("a", [1.0] * 11)], markers=[inside, outside])

    assert [(marker.label, marker.position) for marker in chart.markers] == [("v2", 50.0)]


def test_a_chart_of_nothing_has_no_rows() -> None:
    chart = charts.time_series("x", [], [charts.Series("a", [])])

    assert chart.rows == chart.hits == chart.lines[0].paths == ()


def test_series_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one value for each time"):
        charts.time_series("x", times(3), [charts.Series("a", [1.0])])


def test_more_series_than_colours_are_refused() -> None:
    series = [charts.Series(str(number), [1.0]) for number in range(charts.SERIES_COLOURS + 1)]

    with pytest.raises(ValueError, match="cannot be told apart"):
        charts.time_series("x", times(1), series)


@given(st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=30))
def test_histogram_bars_are_proportional_stay_inside_and_show_every_count_above_zero(counts: list[int]) -> None:
    chart = charts.histogram("age", list(range(len(counts) + 1)), counts)

    for bar, count in zip(chart.bars, counts, strict=True):
        assert 0 <= bar.top <= bar.top + bar.height <= chart.height + 0.02
        assert bar.height == pytest.approx(max(count / max(counts) * chart.height, 1) if count else 0, abs=0.02)
    assert [row.cells for row in chart.rows] == [(f"{count:,}",) for count in counts]


def test_a_histogram_needs_one_edge_more_than_counts() -> None:
    with pytest.raises(ValueError, match="one edge more"):
        charts.histogram("age", [0, 1], [1, 2])


def test_bars_below_zero_hang_from_the_zero_line() -> None:
    chart = charts.bar_chart("Change", [("up", 4.0), ("down", -2.0)], value_name="Change")

    up, down = chart.bars
    assert up.top + up.height == pytest.approx(down.top)
    assert up.height == pytest.approx(2 * down.height, abs=0.02)


def test_a_comparison_marks_the_best_and_keeps_the_same_decimals() -> None:
    measured = [charts.Measured("a", 0.94123, 0.0061), charts.Measured("b", 0.879, 0.0122)]

    chart = charts.comparison("Accuracy", measured, value_name="Accuracy", high=1.0)

    assert [(row.name, row.is_best, row.text) for row in chart.rows] == [
        ("a", True, "0.9412 ± 0.0061"),
        ("b", False, "0.8790 ± 0.0122"),
    ]
    assert chart.rows[0].width == pytest.approx(94.123)
    assert chart.rows[0].error_left == pytest.approx(93.513)
    assert chart.rows[0].error_right == pytest.approx(94.733)


def test_the_least_is_best_where_lower_is_better() -> None:
    chart = charts.comparison(
        "RMSE", [charts.Measured("a", 53.214), charts.Measured("b", 61.9)], value_name="RMSE", lower_is_better=True
    )

    assert [(row.is_best, row.text) for row in chart.rows] == [(True, "53.21"), (False, "61.90")]


@given(st.lists(st.tuples(FINITE, st.floats(min_value=0, max_value=1e6)), min_size=1, max_size=8), FINITE)
def test_a_comparison_stays_inside_its_track(values: list[tuple[float, float]], reference: float) -> None:
    measured = [charts.Measured(str(number), value, error) for number, (value, error) in enumerate(values)]

    chart = charts.comparison("x", measured, value_name="x", reference=charts.Measured("base", reference))

    for row in chart.rows:
        assert row.error_left is not None
        assert row.error_right is not None
        assert 0 <= row.error_left <= row.width <= row.error_right <= 100
    assert chart.reference is not None
    assert 0 <= chart.reference.position <= 100
