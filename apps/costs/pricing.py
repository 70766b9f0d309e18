"""What tokens cost, in whole micro-USD. Imports no Django: the data plane prices its calls itself.

A price list says from when (and until when) it counts, and the price of a million tokens of each class: a number, or
steps of `[above this many input tokens, price]`, of which the last that is passed counts for all tokens of the call. A
class without a price makes a call unpriced if it has such tokens: nobody knows what it cost, which is not nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MILLION = 1_000_000
DAY_S = 86_400
CLASSES = {
    "input_tokens": "input",
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
    "output_tokens": "output",
}

PriceList = Mapping[str, Any]


def cost(prices: Sequence[PriceList], quantities: Mapping[str, int], at: float) -> dict[str, int] | None:
    """The cost of each meter's tokens at that time (epoch seconds), in micro-USD; None if the call is unpriced.

    The sum is exact, rounded half up once; the parts add up to it.
    """
    current = in_force(prices, at)
    if current is None:
        return None
    whole_input = sum(quantities.get(meter, 0) for meter in ("input_tokens", "cached_tokens", "cache_write_tokens"))
    exact: dict[str, int] = {}
    for meter, count in quantities.items():
        price = _price(current.get(CLASSES[meter]), whole_input)
        if price is None:
            return None
        exact[meter] = count * price
    return _rounded(exact)


def in_force(prices: Sequence[PriceList], at: float) -> PriceList | None:
    """The last of `prices`, which are in the order of their beginnings, that counts at that time."""
    return next((one for one in reversed(prices) if one["from"] <= at and _lasts(one, at) and _is_hour(one, at)), None)


def _lasts(one: PriceList, at: float) -> bool:
    return "until" not in one or bool(at < one["until"])


def _is_hour(one: PriceList, at: float) -> bool:
    """Whether a list that counts at some hours (seconds of the day, UTC) counts now."""
    if "hours" not in one:
        return True
    first, last = one["hours"]
    now = at % DAY_S
    return first <= now < last if first <= last else now >= first or now < last


def _price(told: Any, whole_input: int) -> int | None:
    if not isinstance(told, list):
        return told if told is None else int(told)
    return int(next((price for above, price in reversed(told) if whole_input > above), told[0][1]))


def _rounded(exact: Mapping[str, int]) -> dict[str, int]:
    """Millionths of micro-USD as micro-USD, by largest remainder."""
    parts = {meter: amount // MILLION for meter, amount in exact.items()}
    left = (sum(exact.values()) + MILLION // 2) // MILLION - sum(parts.values())
    for meter in sorted(exact, key=lambda name: exact[name] % MILLION, reverse=True)[:left]:
        parts[meter] += 1
    return parts
