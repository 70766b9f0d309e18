"""List prices and an organization's own, compiled for the data plane.

List prices come from genai-prices as it was installed: nothing is fetched. What it cannot say in price lists of ours,
such as a price of its own for reasoning, is left unpriced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from genai_prices import data_snapshot, types

from apps.costs.models import PriceOverride

MICRO = 1_000_000
LOCAL, LIST, OWN_PRICE = "local", "list", "own"  # where a price comes from
SOURCES = [(LIST, "List"), (OWN_PRICE, "Yours"), (LOCAL, "Free")]
LIST_NAME = f"genai-prices {version('genai-prices')}"
# By the kind of an upstream; others are found by their address.
PROVIDERS = {"openai": ("openai",), "azure": ("azure", "openai"), "anthropic": ("anthropic",), "gemini": ("google",)}
OWN = ("input", "cached", "cache_write", "output")
FREE = [{"from": 0, **dict.fromkeys(OWN, 0), "source": LOCAL}]  # runs here, and is paid for with the machine
LISTED = {
    "input": "input_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
}
# Prices that change what a token of ours costs; those of searches, pages and pictures are not of tokens.
UNSAYABLE = ("output_reasoning_mtok", "input_mchars", "requests_kcount")

PriceList = Mapping[str, Any]


class Book:
    """The prices of one organization: its own from their days on, the list's before and otherwise."""

    def __init__(self, overrides: Iterable[PriceOverride]) -> None:
        self._own: dict[tuple[str, str], list[PriceList]] = defaultdict(list)
        for one in sorted(overrides, key=lambda override: override.effective_from):
            self._own[one.provider, one.model].append(_own_list(one))

    def prices(self, kind: str, base_url: str, model: str) -> list[PriceList]:
        """What `model` of such an upstream costs, oldest first; empty if nobody knows."""
        if kind == LOCAL:
            return list(FREE)
        provider = provider_of(kind, base_url)
        own = self._own.get((provider, model), [])
        return [*listed(kind, base_url, model), *own]


def book() -> Book:
    """The book of the organization in scope."""
    return Book(PriceOverride.objects.all())


def provider_of(kind: str, base_url: str) -> str:
    """The provider's id in the list, by which overrides name it; of one that the list does not know, its host."""
    if kind in PROVIDERS:
        return PROVIDERS[kind][0]
    found = _provider_at(base_url)
    return found.id if found else _host(base_url) or kind


def _host(base_url: str) -> str:
    try:
        return urlsplit(base_url).hostname or ""
    except ValueError:
        return ""


@lru_cache(4096)
def listed(kind: str, base_url: str, model: str) -> list[PriceList]:
    """The list's prices for a model, oldest first."""
    at = _provider_at(base_url)
    providers = PROVIDERS.get(kind) or ((at.id,) if at else ())
    for provider_id in providers:
        try:
            _, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider_id, None)
        except LookupError:
            continue
        return _lists(info.prices)
    return []


@lru_cache(1024)
def _provider_at(base_url: str) -> types.Provider | None:
    if not base_url:
        return None
    try:
        return data_snapshot.get_snapshot().find_provider(None, None, base_url)
    except LookupError:
        return None


def _lists(prices: Any) -> list[PriceList]:
    conditional = prices if isinstance(prices, list) else [types.ConditionalPrice(constraint=None, prices=prices)]
    return [_list(one.prices, one.constraint) for one in conditional if _is_sayable(one.prices)]


def _is_sayable(price: types.ModelPrice) -> bool:
    return not any(getattr(price, name, None) for name in UNSAYABLE)


def _list(price: types.ModelPrice, constraint: Any) -> PriceList:
    told: dict[str, Any] = {"from": 0, "source": LIST}
    if isinstance(constraint, types.StartDateConstraint):
        told["from"] = _epoch(constraint.start_date)
    elif isinstance(constraint, types.TimeOfDateConstraint):
        told["hours"] = [_seconds(constraint.start_time), _seconds(constraint.end_time)]
    for name, listed_name in LISTED.items():
        told[name] = _micro(getattr(price, listed_name, None))
    # Providers without a price of their own for it take the input's, as the list says of itself.
    for name in ("cached", "cache_write"):
        told[name] = told["input"] if told[name] is None else told[name]
    return told


def _micro(price: Any) -> Any:
    """Micro-USD per million tokens, of USD per million."""
    if price is None:
        return None
    if isinstance(price, types.TieredPrices):
        steps = [[tier.start, _micro(tier.price)] for tier in price.tiers]
        return [[0, _micro(price.base)], *steps]
    return int(Decimal(price) * MICRO)


def _own_list(override: PriceOverride) -> PriceList:
    until = override.effective_until
    return {
        "from": _epoch(override.effective_from),
        **({"until": _epoch(until)} if until else {}),
        "source": OWN_PRICE,
        "input": override.input_price,
        "cached": override.cached_price,
        "cache_write": override.cache_write_price,
        "output": override.output_price,
    }


def _epoch(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _seconds(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second
