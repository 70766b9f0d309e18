from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.costs import pricing

LIST = {"from": 0, "input": 2_500_000, "cached": 1_250_000, "cache_write": None, "output": 10_000_000}
counts = st.fixed_dictionaries(
    {}, optional={meter: st.integers(1, 10**9) for meter in ("input_tokens", "cached_tokens", "output_tokens")}
)


def test_each_class_has_its_own_price() -> None:
    cost = pricing.cost([LIST], {"input_tokens": 1000, "cached_tokens": 1000, "output_tokens": 100}, 1.0)
    assert cost == {"input_tokens": 2500, "cached_tokens": 1250, "output_tokens": 1000}


def test_a_class_without_a_price_makes_the_call_unpriced_and_never_free() -> None:
    assert pricing.cost([LIST], {"input_tokens": 1, "cache_write_tokens": 1}, 1.0) is None
    assert pricing.cost([LIST], {"input_tokens": 1}, 1.0) is not None
    assert pricing.cost([], {"input_tokens": 1}, 1.0) is None


@pytest.mark.parametrize(("at", "price"), [(9.0, 100), (10.0, 200), (99.0, 200)])
def test_the_list_in_force_at_the_time_counts(at: float, price: int) -> None:
    lists = [{"from": 0, "input": 100}, {"from": 10, "input": 200}]
    assert pricing.cost(lists, {"input_tokens": 1_000_000}, at) == {"input_tokens": price}


def test_before_the_first_list_a_call_is_unpriced() -> None:
    assert pricing.cost([{"from": 10, "input": 100}], {"input_tokens": 1}, 9.0) is None


@pytest.mark.parametrize(("tokens", "price"), [(200_000, 100), (200_001, 200)])
def test_a_step_counts_for_all_tokens_once_the_input_passes_it(tokens: int, price: int) -> None:
    lists = [{"from": 0, "input": [[0, 100], [200_000, 200]], "output": [[0, 1], [200_000, 2]]}]
    cost = pricing.cost(lists, {"input_tokens": tokens, "output_tokens": 1_000_000}, 1.0)
    assert cost is not None
    assert cost["output_tokens"] == price // 100


def test_cached_tokens_count_towards_a_step() -> None:
    lists = [{"from": 0, "input": [[0, 100], [10, 200]], "cached": 1}]
    cost = pricing.cost(lists, {"input_tokens": 6, "cached_tokens": 6}, 1.0)
    assert cost == pricing.cost([{"from": 0, "input": 200, "cached": 1}], {"input_tokens": 6, "cached_tokens": 6}, 1.0)


@given(counts, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_parts_are_the_exact_sum_rounded_once(
    quantities: dict[str, int], of_input: int, of_cached: int, of_output: int
) -> None:
    prices = {"from": 0, "input": of_input, "cached": of_cached, "output": of_output}
    parts = pricing.cost([prices], quantities, 1.0)
    assert parts is not None
    exact = sum(
        (Decimal(count) * prices[pricing.CLASSES[meter]] / 1_000_000 for meter, count in quantities.items()), Decimal()
    )
    assert sum(parts.values()) == exact.quantize(Decimal(1), ROUND_HALF_UP)
    for meter, count in quantities.items():
        assert abs(parts[meter] - Decimal(count) * prices[pricing.CLASSES[meter]] / 1_000_000) < 1
