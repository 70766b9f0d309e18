"""Pages that tell what models cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import time_ranges
from apps.core.formatting import ABSENT
from apps.costs.models import PriceOverride
from apps.gateway import queries
from apps.gateway.forms.prices import today
from apps.gateway.models import Route, Target, Upstream
from tests.gateway.test_pages import make_call, make_route, text_of

PAGE = "/o/acme/gateway/prices/"
CALLS = "/o/acme/gateway/calls/"


@pytest.fixture(autouse=True)
def without_a_local_model(settings: Any) -> None:
    """So that a new organization has no route of its own yet."""
    settings.LLM_URL = ""


@pytest.fixture
def route(in_acme: Any) -> Route:
    """One that leads to a listed model, one that nobody has a price for, and the local one."""
    made = Route.objects.create(name="small")
    places = {"openai": "gpt-4o", "compatible": "ours", "local": "smollm2"}
    for kind, model in places.items():
        url = "" if kind == "local" else f"https://{kind}.example.com/v1"
        upstream = Upstream.objects.create(name=kind, kind=kind, base_url=url)
        Target.objects.create(route=made, upstream=upstream, model=model)
    return made


def own(**given: Any) -> PriceOverride:
    usual = {"provider": "openai", "model": "gpt-4o", "effective_from": today(), "input_price": 2_000_000}
    return PriceOverride.objects.create(**{**usual, **given})


def test_the_page_says_what_it_is_for_while_nothing_is_there(as_viewer: Client) -> None:
    assert "No route leads to a priced model yet" in text_of(as_viewer.get(PAGE))


def test_each_model_is_told_with_its_price_and_where_it_comes_from(as_owner: Client, route: Route) -> None:
    page = text_of(as_owner.get(PAGE))
    assert "gpt-4o openai, by small List $2.50 $1.25 $2.50 $10.00 Add" in page
    assert "ours compatible.example.com, by small Unpriced" in page
    assert "smollm2 local, by small Free runs here $0.00" in page
    assert "1 of the models that routes lead to has no price" in page
    assert "?provider=compatible.example.com&amp;model=ours" in as_owner.get(PAGE).content.decode()


def test_an_own_price_stands_beside_the_list_s(as_viewer: Client, route: Route) -> None:
    own(effective_from=today() - timedelta(days=1))
    own(effective_from=today() + timedelta(days=9), input_price=1)
    page = text_of(as_viewer.get(PAGE))
    assert f"Yours since {today() - timedelta(days=1)}" in page
    assert "$2.00 list $2.50 unpriced list $1.25" in page
    assert "To come" in page
    assert "Add a price of gpt-4o" not in as_viewer.get(PAGE).content.decode()


def test_more_models_take_no_more_queries(as_viewer: Client, route: Route) -> None:
    as_viewer.get(PAGE)
    with CaptureQueriesContext(connection) as one:
        as_viewer.get(PAGE)
    make_route("other")
    make_route("third")
    own()
    with CaptureQueriesContext(connection) as three:
        assert "third" in text_of(as_viewer.get(PAGE))
    assert len(one) == len(three)


def test_a_price_is_added_changed_and_deleted(as_owner: Client, route: Route) -> None:
    typed = {"provider": "openai", "model": "gpt-4o", "effective_from": today().isoformat(), "input_price": "1.25"}
    assert as_owner.post(f"{PAGE}new/", typed).status_code == 303
    price = PriceOverride.objects.get()
    assert (price.input_price, price.output_price) == (1_250_000, None)
    again = as_owner.post(f"{PAGE}new/", typed)
    assert again.status_code == 422
    assert "There is a price of gpt-4o from" in text_of(again)
    edit = f"{PAGE}{price.pk}/"
    assert 'value="1.25"' in as_owner.get(edit).content.decode()
    ending = (today() + timedelta(days=1)).isoformat()
    assert as_owner.post(edit, {**typed, "output_price": "0.000001", "effective_until": ending}).status_code == 303
    price.refresh_from_db()
    assert (price.output_price, price.effective_until.isoformat()) == (1, ending)
    wrong = as_owner.post(edit, {**typed, "effective_until": today().isoformat()})
    assert "A price ends after the day it begins on." in text_of(wrong)
    assert as_owner.post(f"{edit}delete/").status_code == 303
    assert not PriceOverride.objects.exists()


def test_who_may_not_write_prices_reads_them(as_viewer: Client, route: Route) -> None:
    assert as_viewer.get(PAGE).status_code == 200
    assert as_viewer.get(f"{PAGE}new/").status_code == 403


def test_the_calculator_tells_the_cost_by_class(as_viewer: Client, route: Route) -> None:
    asked = {"model": "openai/gpt-4o", "input_tokens": 1_000, "cached_tokens": 1_000, "output_tokens": 100}
    page = text_of(as_viewer.get(PAGE, asked))
    assert "Input 1,000 $2.50 $0.0025 Cached 1,000 $1.25 $0.00125 Output 100 $10.00 $0.001 In all $0.00475" in page
    unknown = {"model": "compatible.example.com/ours", "input_tokens": 1}
    assert "A price is missing for ours" in text_of(as_viewer.get(PAGE, unknown))
    assert as_viewer.get(PAGE, {"model": "gone", "input_tokens": "x"}).status_code == 200


def test_a_route_tells_what_each_of_its_targets_costs(as_viewer: Client, route: Route) -> None:
    page = text_of(as_viewer.get(f"/o/acme/gateway/routes/{route.pk}/"))
    assert "$2.50 in, $10.00 out" in page
    assert "unpriced" in page
    assert "free" in page


def test_unpriced_calls_are_never_told_as_free(as_viewer: Client, in_acme: Any) -> None:
    make_call(cost_micro_usd=None)
    chart = text_of(as_viewer.get(f"{CALLS}chart/"))
    assert "Cost unpriced" in chart
    assert "Unpriced calls 1 not in the cost" in chart
    make_call(cost_micro_usd=1_830)
    assert "Cost $0.0018" in text_of(as_viewer.get(f"{CALLS}chart/"))


def test_the_chart_of_cost_has_a_gap_where_nobody_knows(in_acme: Any) -> None:
    now = timezone.localtime()
    make_call(cost_micro_usd=None, occurred_at=now - timedelta(minutes=30))
    make_call(cost_micro_usd=5, occurred_at=now)
    span = time_ranges.named("1h")
    drawn = queries.call_charts(queries.filtered({}, span, now), span, now)
    assert drawn.sums["cost"] == 5
    assert sum(ABSENT in row.cells for row in drawn.cost.rows) == 1
    assert (drawn.sums["priced"], drawn.sums["unpriced"]) == (1, 1)


def test_the_axis_is_as_wide_as_the_smallest_costs_need(as_viewer: Client, in_acme: Any) -> None:
    make_call(cost_micro_usd=1)
    assert '<svg width="66"' in as_viewer.get(f"{CALLS}chart/").content.decode()  # of $0.000001
