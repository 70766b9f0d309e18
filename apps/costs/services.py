"""What people do with prices. A call is priced once, when it ends: a change counts for later ones."""

from __future__ import annotations

from datetime import date
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction

from apps.audit import services as audit
from apps.core import live, snapshots
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.tenancy import current_tenant_id
from apps.costs import errors
from apps.costs.models import LARGEST, PriceOverride
from apps.organizations import queries as organizations

MOST_PRICES = 1_000
TOPIC = "prices"
PRICES = ("input_price", "cached_price", "cache_write_price", "output_price")


class PriceColumns(TypedDict, total=False):
    effective_from: date
    effective_until: date | None
    input_price: int | None
    cached_price: int | None
    cache_write_price: int | None
    output_price: int | None


COLUMNS = tuple(PriceColumns.__annotations__)


@transaction.atomic
def create_price(provider: str, model: str, *, by: Actor, **columns: Unpack[PriceColumns]) -> PriceOverride:
    """What the organization pays for a model from a day on, instead of the list price.

    Raises `TooManyPrices`, `PriceExists`, `PriceInvalid`.
    """
    organizations.locked_organization()
    if PriceOverride.objects.count() >= MOST_PRICES:
        raise errors.TooManyPrices(limit=MOST_PRICES)
    price = _checked(PriceOverride(provider=provider.strip().lower(), model=model.strip(), **columns))
    _save(price)
    audit.record(by, "price.created", price, _told(price))
    _publish()
    return price


@transaction.atomic
def update_price(price: PriceOverride, *, by: Actor, **wanted: Unpack[PriceColumns]) -> PriceOverride:
    """Change a price, or end it. Raises `PriceExists`, `PriceInvalid`."""
    price = PriceOverride.objects.select_for_update().get(pk=price.pk)
    if changes := apply_changes(price, wanted):
        _save(_checked(price), update_fields=list(changes))
        audit.record(by, "price.updated", price, changes)
        _publish()
    return price


@transaction.atomic
def delete_price(price: PriceOverride, *, by: Actor) -> None:
    """The list price counts again. What was priced by it stays."""
    audit.record(by, "price.deleted", price, _told(price))
    price.delete()
    _publish()


def _checked(price: PriceOverride) -> PriceOverride:
    for name in ("provider", "model"):
        if not getattr(price, name) or "\x00" in getattr(price, name):
            raise errors.PriceInvalid(field=name, reason="Say whose price it is.")
    if price.effective_until is not None and price.effective_until <= price.effective_from:
        raise errors.PriceInvalid(field="effective_until", reason="A price ends after the day it begins on.")
    given = {name: getattr(price, name) for name in PRICES if getattr(price, name) is not None}
    if not given:
        raise errors.PriceInvalid(field="input_price", reason="Give a price of at least one class of tokens.")
    for name, amount in given.items():
        if not 0 <= amount <= LARGEST:
            raise errors.PriceInvalid(field=name, reason="A price is from 0 to a million dollars.")
    return price


def _save(price: PriceOverride, **how: Any) -> None:
    try:
        with transaction.atomic():
            price.save(**how)
    except IntegrityError:
        raise errors.PriceExists(field="effective_from", model=price.model, day=price.effective_from) from None


def _told(price: PriceOverride) -> dict[str, Any]:
    told = {name: getattr(price, name) for name in ("provider", "model", *COLUMNS)}
    return {name: value if isinstance(value, int) else str(value) for name, value in told.items() if value is not None}


def _publish() -> None:
    live.publish(TOPIC)
    snapshots.publish_on_commit(current_tenant_id())
