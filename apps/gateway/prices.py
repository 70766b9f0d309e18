"""What the models behind routes cost, as pages tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from apps.core.formatting import format_count, format_day
from apps.costs import catalog, pricing
from apps.costs.models import PriceOverride
from apps.gateway.models import Target

CLASSES = (("Input", "input"), ("Cached", "cached"), ("Cache write", "cache_write"), ("Output", "output"))
UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Amount:
    """The price of one class: what counts, what it is for larger inputs, and beside an own one the list's."""

    title: str
    text: str
    steps: Sequence[str] = ()
    listed: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens of one class in a call, their price, and their cost in micro-USD."""

    title: str
    count: int
    price: str
    micro: int

    @property
    def cost(self) -> str:
        return exact(self.micro)


@dataclass(slots=True)
class PricedModel:
    """A model that routes lead to, with the prices known of it, oldest first."""

    provider: str
    name: str
    prices: list[Mapping[str, Any]]
    now: float
    routes: list[str] = field(default_factory=list)

    @property
    def current(self) -> Mapping[str, Any] | None:
        return pricing.in_force(self.prices, self.now)

    @property
    def source(self) -> str:
        return self.current["source"] if self.current else ""

    @property
    def since(self) -> str:
        """The day from which it counts, empty where that is not told."""
        return day_of(self.current["from"]) if self.current and self.current["from"] else ""

    @property
    def amounts(self) -> list[Amount]:
        listed = pricing.in_force([one for one in self.prices if one["source"] == catalog.LIST], self.now)
        is_own = self.source == catalog.OWN_PRICE
        return [_amount(title, name, self.current, listed if is_own else None) for title, name in CLASSES]

    @property
    def key(self) -> str:
        return f"{self.provider}/{self.name}"


def priced_models(now: datetime) -> list[PricedModel]:
    """Each model of a provider that a route leads to, once; the unpriced ones first."""
    book = catalog.book()
    found: dict[tuple[str, str], PricedModel] = {}
    for target in (
        Target.objects.filter(upstream__isnull=False).select_related("upstream", "route").order_by("route__name")
    ):
        one = _priced(book, target, now)
        known = found.setdefault((one.provider, one.name), one)
        if target.route.name not in known.routes:
            known.routes.append(target.route.name)
    return sorted(found.values(), key=lambda one: (one.current is not None, one.provider, one.name))


def told_of(targets: Iterable[Target], now: datetime) -> dict[UUID, str]:
    """What each target's tokens cost, in a few words."""
    book = catalog.book()
    return {target.pk: _in_words(_priced(book, target, now).current) for target in targets}


def cost_of(model: PricedModel, counts: Mapping[str, int]) -> list[Part] | None:
    """What a call of so many tokens costs by class; None if it is unpriced."""
    parts = pricing.cost(model.prices, {meter: count for meter, count in counts.items() if count}, model.now)
    if parts is None:
        return None
    titles = {name: title for title, name in CLASSES}
    named = [(meter, name, counts[meter]) for meter, name in pricing.CLASSES.items() if counts.get(meter)]
    return [Part(titles[name], count, _of(model.current, name), parts[meter]) for meter, name, count in named]


def own_amounts(price: PriceOverride) -> list[Amount]:
    return [Amount(title, said(getattr(price, f"{name}_price"))) for title, name in CLASSES]


def counting(price: PriceOverride, today: date) -> str:
    """Whether a price counts: `to come`, `counts` or `ended`."""
    if price.effective_from > today:
        return "to come"
    return "ended" if price.effective_until is not None and price.effective_until <= today else "counts"


def day_of(seconds: float) -> str:
    return format_day(datetime.fromtimestamp(seconds, UTC))


def said(amount: Any) -> str:
    """The price of a million tokens of a class; of one with steps, that of small inputs."""
    if amount is None:
        return UNPRICED
    return exact(amount[0][1] if isinstance(amount, list) else amount)


def exact(micro: int) -> str:
    """Micro-USD with all their digits, as a price is agreed on and as parts add up."""
    whole, fraction = divmod(micro, 1_000_000)
    return f"${format_count(whole)}.{f'{fraction:06}'.rstrip('0').ljust(2, '0')}"


def _priced(book: catalog.Book, target: Target, now: datetime) -> PricedModel:
    upstream = target.upstream
    if upstream is None:
        return PricedModel("", "", list(catalog.FREE), now.timestamp())
    prices = book.prices(upstream.kind, upstream.base_url, target.model)
    provider = catalog.provider_of(upstream.kind, upstream.base_url)
    return PricedModel(provider, target.model, prices, now.timestamp())


def _amount(title: str, name: str, price: Mapping[str, Any] | None, instead_of: Mapping[str, Any] | None) -> Amount:
    told = price.get(name) if price else None
    steps = [f"{exact(one)} above {_thousands(above)}" for above, one in told[1:]] if isinstance(told, list) else []
    return Amount(title, said(told), steps, _of(instead_of, name) if instead_of else "")


def _thousands(count: int) -> str:
    return f"{count // 1000}k" if count and count % 1000 == 0 else format_count(count)


def _of(price: Mapping[str, Any] | None, name: str) -> str:
    return said(price.get(name)) if price else UNPRICED


def _in_words(price: Mapping[str, Any] | None) -> str:
    if price is None:
        return UNPRICED
    if price["source"] == catalog.LOCAL:
        return "free"
    has_steps = any(isinstance(price.get(name), list) for _, name in CLASSES)
    return f"{'from ' * has_steps}{_of(price, 'input')} in, {_of(price, 'output')} out"
