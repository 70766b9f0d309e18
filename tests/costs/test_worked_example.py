"""The calls that docs/costs.md works out, from what each provider tells to the cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.costs import catalog, pricing
from apps.gateway.dialects import tokens
from config.environment import ROOT

AT = 1_795_000_000.0  # November 2026
OPENAI = {
    "prompt_tokens": 2_006,
    "completion_tokens": 300,
    "total_tokens": 2_306,
    "prompt_tokens_details": {"cached_tokens": 1_920},
}
ANTHROPIC = {
    "input_tokens": 50,
    "cache_creation_input_tokens": 248,
    "cache_read_input_tokens": 100_000,
    "output_tokens": 503,
}
REASONING = {
    "prompt_tokens": 75,
    "completion_tokens": 1_186,
    "completion_tokens_details": {"reasoning_tokens": 1_024},
}


@pytest.mark.parametrize(
    ("kind", "model", "counted", "parts"),
    [
        ("openai", "gpt-4o", tokens.of_openai(OPENAI), {"input": 215, "cached": 2_400, "output": 3_000}),
        (
            "anthropic",
            "claude-sonnet-4-5",
            tokens.of_anthropic(ANTHROPIC),
            {"input": 150, "cached": 30_000, "cache_write": 930, "output": 7_545},
        ),
        ("openai", "o3", tokens.of_openai(REASONING), {"input": 150, "output": 9_488}),
    ],
)
def test_a_call_costs_what_the_page_says(kind: str, model: str, counted: Any, parts: dict[str, int]) -> None:
    cost = pricing.cost(catalog.listed(kind, "", model), counted.by_meter(), AT)
    assert cost == {f"{name}_tokens": amount for name, amount in parts.items()}
    page = Path(ROOT, "docs/costs.md").read_text()
    assert f"{sum(parts.values()):,} micro-USD" in page
    for amount in parts.values():
        assert f"= {amount:,}" in page


def test_a_wrong_reading_would_cost_what_the_page_warns_of() -> None:
    twice = {"input_tokens": 2_006, "cached_tokens": 1_920, "output_tokens": 300}
    assert sum((pricing.cost(catalog.listed("openai", "", "gpt-4o"), twice, AT) or {}).values()) == 10_415
    added = {"input_tokens": 75, "output_tokens": 1_186 + 1_024}
    assert sum((pricing.cost(catalog.listed("openai", "", "o3"), added, AT) or {}).values()) == 17_830
