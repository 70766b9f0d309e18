from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from genai_prices import Usage, data_snapshot

from apps.costs import catalog, pricing
from apps.costs.models import PriceOverride

QUANTITIES = {
    "input_tokens": 1_234_567,
    "cached_tokens": 345_678,
    "cache_write_tokens": 45_678,
    "output_tokens": 987_654,
}
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KINDS = {"openai": "openai", "anthropic": "anthropic", "google": "gemini"}


def models() -> Iterator[Any]:
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models:
            # What its owner has tuned has the family's name before its own.
            if provider.id in KINDS and not model.id.startswith("ft:"):
                yield pytest.param(provider.id, model.id, id=f"{provider.id} {model.id}")


@pytest.mark.parametrize(("provider", "model"), models())
def test_our_cost_is_the_lists_own_calculation_rounded_once(provider: str, model: str) -> None:
    lists = catalog.listed(KINDS[provider], "", model)
    ours = pricing.cost(lists, QUANTITIES, NOON.timestamp())
    snapshot = data_snapshot.get_snapshot()
    usage = Usage(
        input_tokens=sum(QUANTITIES[name] for name in ("input_tokens", "cached_tokens", "cache_write_tokens")),
        cache_read_tokens=QUANTITIES["cached_tokens"],
        cache_write_tokens=QUANTITIES["cache_write_tokens"],
        output_tokens=QUANTITIES["output_tokens"],
    )
    if ours is None:
        # What the list has no price for is never called free.
        info = snapshot.find_provider_model(model, None, provider, None)[1]
        priced = info.get_prices(NOON)
        assert (
            priced.__dict__.get("input_mtok") is None
            or priced.__dict__.get("output_mtok") is None
            or any(priced.__dict__.get(name) for name in catalog.UNSAYABLE)
        )
        return
    theirs = snapshot.calc(usage, model, provider, None, NOON).total_price
    assert sum(ours.values()) == (theirs * 1_000_000).quantize(Decimal(1), ROUND_HALF_UP)


def test_a_price_changes_on_its_day() -> None:
    lists = [
        model
        for provider in data_snapshot.get_snapshot().providers
        for model in provider.models
        if isinstance(model.prices, list) and provider.id == "openai"
    ]
    compiled = catalog.listed("openai", "", lists[0].id)
    assert [one["from"] for one in compiled] == sorted(one["from"] for one in compiled)
    assert len({one["from"] for one in compiled}) == len(compiled) > 1


def test_the_local_model_is_free_and_an_unknown_one_unpriced() -> None:
    book = catalog.Book([])
    assert pricing.cost(book.prices("local", "", "smollm2"), QUANTITIES, 1.0) == dict.fromkeys(QUANTITIES, 0)
    assert book.prices("compatible", "https://models.example.com/v1", "ours") == []


def test_a_provider_is_known_by_its_address() -> None:
    assert catalog.provider_of("compatible", "https://api.mistral.ai/v1") == "mistral"
    assert catalog.listed("compatible", "https://api.mistral.ai/v1", "mistral-large-latest")


def test_an_organizations_own_price_counts_from_its_day_on() -> None:
    own = PriceOverride(
        provider="openai", model="gpt-4o", effective_from=date(2026, 11, 24), input_price=1, output_price=2
    )
    lists = catalog.Book([own]).prices("openai", "https://api.openai.com/v1", "gpt-4o")
    day = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    assert pricing.in_force(lists, day)["source"] == "own"  # type: ignore[index]
    assert pricing.in_force(lists, day - 1)["source"] == "list"  # type: ignore[index]
    assert pricing.cost(lists, {"cached_tokens": 1}, day) is None


@pytest.mark.parametrize(("hour", "price"), [(0, 10), (1, 20), (16, 20), (17, 10)])
def test_a_list_may_count_at_some_hours(hour: int, price: int) -> None:
    lists = [{"from": 0, "input": 10}, {"from": 0, "hours": [1800, 59400], "input": 20}]
    at = NOON.replace(hour=hour).timestamp()
    assert pricing.cost(lists, {"input_tokens": 1_000_000}, at) == {"input_tokens": price}
