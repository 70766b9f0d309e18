"""What an organization pays instead of the list price: added, changed, ended, deleted; by services and by the API."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import snapshots, tenancy
from apps.core.actors import Actor
from apps.costs import catalog, errors, pricing, services
from apps.costs.models import PriceOverride

pytestmark = pytest.mark.django_db

OVERRIDES, PRICES = "/api/v1/costs/overrides/", "/api/v1/costs/prices/"
DAY = date(2026, 11, 20)
TOKENS = {"input_tokens": 1_000_000}


def add(actor: Actor, **given: Any) -> PriceOverride:
    return services.create_price(
        **{"provider": "openai", "model": "gpt-4o", "effective_from": DAY, "input_price": 7, **given}, by=actor
    )


def at(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def cost_on(day: date) -> Any:
    prices = catalog.book().prices("openai", "https://api.openai.com/v1", "gpt-4o")
    return sum((pricing.cost(prices, TOKENS, at(day)) or {}).values())


def test_a_price_counts_from_its_day_until_its_end_and_the_list_before_and_after(in_acme: Any, actor: Actor) -> None:
    before = cost_on(DAY - timedelta(days=1))
    add(actor, effective_until=DAY + timedelta(days=3))
    assert before > 7
    assert [cost_on(DAY + timedelta(days=days)) for days in (-1, 0, 2, 3)] == [before, 7, 7, before]


def test_of_several_prices_the_one_that_began_last_counts(in_acme: Any, actor: Actor) -> None:
    add(actor)
    add(actor, effective_from=DAY + timedelta(days=1), effective_until=DAY + timedelta(days=2), input_price=3)
    assert [cost_on(DAY + timedelta(days=days)) for days in (0, 1, 2)] == [7, 3, 7]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"effective_until": DAY}, "effective_until"),
        ({"input_price": None}, "input_price"),
        ({"input_price": -1}, "input_price"),
        ({"output_price": 10**12 + 1}, "output_price"),
        ({"model": " "}, "model"),
    ],
)
def test_what_is_no_price_is_refused_by_its_field(given: Any, field: str, in_acme: Any, actor: Actor) -> None:
    with pytest.raises(errors.PriceInvalid) as refused:
        add(actor, **given)
    assert refused.value.field == field
    assert not PriceOverride.objects.exists()


def test_a_model_has_one_price_a_day_and_there_is_a_most(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(actor)
    with pytest.raises(errors.PriceExists):
        add(actor)
    monkeypatch.setattr(services, "MOST_PRICES", 1)
    with pytest.raises(errors.TooManyPrices):
        add(actor, model="other")


def test_a_change_is_published_and_told_in_the_trail(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[Any] = []
    monkeypatch.setattr(snapshots, "publish_on_commit", published.append)
    price = add(actor)
    services.update_price(price, input_price=8, by=actor)
    services.update_price(price, input_price=8, by=actor)  # changes nothing
    services.delete_price(PriceOverride.objects.get(), by=actor)
    assert published == [in_acme.pk] * 3
    actions = AuditEntry.objects.filter(subject_type="priceoverride").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["price.created", "price.updated", "price.deleted"]


def test_the_same_host_is_one_provider_though_no_list_knows_it() -> None:
    assert catalog.provider_of("compatible", "https://models.example.com:8443/v1") == "models.example.com"
    assert catalog.provider_of("compatible", "http://[") == "compatible"


def test_prices_by_the_api(api_owner: Any, acme: Any) -> None:
    answer = api_owner.post(OVERRIDES, {"provider": "OpenAI", "model": "gpt-4o", "input_price": 5})
    assert answer.status_code == 201, answer.json()
    told = answer.json()
    today = timezone.now().astimezone(UTC).date().isoformat()
    assert (told["provider"], told["effective_from"], told["output_price"]) == ("openai", today, None)
    assert api_owner.post(OVERRIDES, {"provider": "openai", "model": "gpt-4o", "input_price": 6}).status_code == 409
    changed = api_owner.patch(answer["Location"], {"output_price": 9})
    assert (changed.status_code, changed.json()["output_price"]) == (200, 9)
    asked = {"kind": "openai", "base_url": "https://api.openai.com/v1", "model": "gpt-4o"}
    newest = api_owner.get(PRICES, asked).json()["prices"][-1]
    assert (newest["source"], newest["input"], newest["from"][:10]) == ("own", 5, today)
    assert api_owner.delete(answer["Location"]).status_code == 204
    listed = api_owner.get(PRICES, asked).json()
    assert (listed["provider"], listed["is_priced"], listed["prices"][-1]["source"]) == ("openai", True, "list")


@pytest.mark.parametrize(
    ("asked", "is_priced"),
    [
        ({"kind": "local", "model": "smollm2"}, True),
        ({"kind": "compatible", "base_url": "https://models.example.com/v1", "model": "ours"}, False),
        ({"kind": "compatible", "base_url": "http://[", "model": "ours"}, False),
    ],
)
def test_what_is_free_and_what_is_unpriced(asked: Any, is_priced: bool, api_viewer: Any) -> None:
    assert api_viewer.get(PRICES, asked).json()["is_priced"] is is_priced


def test_whoever_may_not_write_prices_reads_them(api_viewer: Any, api_outsider: Any, acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        price = add(actor)
    assert api_viewer.get(f"{OVERRIDES}{price.pk}/").status_code == 200
    assert api_viewer.patch(f"{OVERRIDES}{price.pk}/", {"input_price": 1}).status_code == 403
    assert api_viewer.post(OVERRIDES, {"provider": "openai", "model": "x", "input_price": 1}).status_code == 403
    assert api_outsider.get(f"{OVERRIDES}{price.pk}/").status_code == 404
    assert api_viewer.get(PRICES).json()["errors"][0]["field"] == "model"
