"""The ledger: written once for each id, summed in the database, shown as a page, a file and an API."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy, time_ranges
from apps.core.ids import uuid7
from apps.usage import queries, services
from apps.usage.models import UsageEvent

PAGE = "/o/acme/usage/"


def record(meter: str = "predictions", quantity: int = 1, hours_ago: float = 1, **dimensions: str) -> None:
    at = timezone.now() - timedelta(hours=hours_ago)
    services.record(meter, quantity, event_id=uuid7(at), dimensions=dimensions, occurred_at=at)


@pytest.fixture
def used(acme: Any) -> None:
    with tenancy.scope(acme.pk):
        record(quantity=3, model="churn", token="t1")
        record(quantity=4, hours_ago=30, model="churn")
        record(quantity=50, hours_ago=24 * 20, model="price")
        record("training_ms", 90_000, hours_ago=2, model="churn")


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_same_event_counts_once(in_acme: Any) -> None:
    event_id = uuid7()
    for _ in range(2):
        services.record("predictions", 5, event_id=event_id)
    assert UsageEvent.objects.get().quantity == 5


def test_the_sums_shown_are_the_sums_of_the_rows(used: None, in_acme: Any) -> None:
    now = timezone.now()
    for time_range in queries.RANGES.values():
        events = queries.filtered({}, time_range, now)
        used_by_meter = queries.usage_by_meter({}, time_range, now)
        shown = {one.value: one.quantity for one in used_by_meter}
        rows = dict(events.order_by().values_list("meter").annotate(Sum("quantity")))
        assert shown == rows
        assert all(sum(one.by_step.values()) == one.quantity for one in used_by_meter)


def test_every_step_of_a_series_is_a_step_of_its_range(used: None, in_acme: Any) -> None:
    now, time_range = timezone.now(), time_ranges.MONTH
    steps = set(time_range.steps(now))
    for one in queries.usage_by_meter({}, time_range, now):
        assert one.by_step.keys() <= steps


def test_costs_are_summed_and_unknown_costs_stay_unknown(in_acme: Any) -> None:
    services.record("tokens", 10, event_id=uuid7(), cost_micro_usd=7)
    services.record("tokens", 10, event_id=uuid7(), cost_micro_usd=None)
    services.record("predictions", 1, event_id=uuid7())
    for time_range in queries.RANGES.values():
        used_by_meter = queries.usage_by_meter({}, time_range, timezone.now())
        assert {one.value: one.cost_micro_usd for one in used_by_meter} == {"tokens": 7, "predictions": None}


def test_the_page_shows_totals_in_their_units(as_viewer: Client, used: None) -> None:
    page = text_of(as_viewer.get(PAGE))
    assert "Predictions 7" in page
    assert "Training time 1 m 30 s" in page
    assert "Predictions 57" in text_of(as_viewer.get(PAGE, {"range": "30d"}))


def test_the_page_filters_by_meter_model_and_token(as_viewer: Client, used: None) -> None:
    assert "Predictions 50" in text_of(as_viewer.get(PAGE, {"range": "30d", "model": "price"}))
    assert "Predictions 3" in text_of(as_viewer.get(PAGE, {"token": "t1"}))
    assert "Nothing matches" in text_of(as_viewer.get(PAGE, {"model": "absent"}))


def test_the_empty_page_says_what_will_be_here(as_viewer: Client) -> None:
    assert "Nothing was used in this time" in text_of(as_viewer.get(PAGE))


def test_the_page_takes_as_many_queries_for_three_as_for_one(as_owner: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        record(model="a", token=str(uuid7()))
    as_owner.get(PAGE)
    with CaptureQueriesContext(connection) as one:
        as_owner.get(PAGE)
    with tenancy.scope(acme.pk):
        record(model="b", token=str(uuid7()))
        record("training_ms", model="c", token=str(uuid7()))
    with CaptureQueriesContext(connection) as three:
        as_owner.get(PAGE)
    assert len(one) == len(three)


def test_the_export_holds_the_filtered_rows_and_no_formula(as_viewer: Client, acme: Any, used: None) -> None:
    with tenancy.scope(acme.pk):
        record(quantity=9, model="=cmd()")
    answer = as_viewer.get(f"{PAGE}export/", {"meter": "predictions", "range": "24h"})
    assert answer["Content-Disposition"].startswith("attachment")
    rows = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert [(row["quantity"], row["model"]) for row in rows] == [("9", "'=cmd()"), ("3", "churn")]


def test_the_api_sums_by_meter_and_step(api_viewer: Any, used: None) -> None:
    body = api_viewer.get("/api/v1/usage/", {"range": "30d", "model": "churn"}).json()
    meters = {one["meter"]: one for one in body["meters"]}
    assert {name: one["quantity"] for name, one in meters.items()} == {"predictions": 7, "training_ms": 90_000}
    assert sum(step["quantity"] for step in meters["predictions"]["steps"]) == 7
    assert body["step_seconds"] == 86400


def test_the_api_lists_the_rows_and_pages_them(api_viewer: Any, used: None) -> None:
    first = api_viewer.get("/api/v1/usage/events/", {"page_size": 3}).json()
    rest = api_viewer.get(first["next"]).json()
    assert [len(first["results"]), len(rest["results"]), rest["next"]] == [3, 1, None]
    assert first["results"][0]["dimensions"] == {"model": "churn", "token": "t1"}
    found = api_viewer.get("/api/v1/usage/events/", {"token": "t1", "meter": "predictions"}).json()["results"]
    assert [one["quantity"] for one in found] == [3]


def test_an_unknown_range_is_refused(api_viewer: Any) -> None:
    answer = api_viewer.get("/api/v1/usage/", {"range": "1y"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "range")


def test_an_outsider_sees_none_of_it(as_outsider: Client, api_outsider: Any, used: None) -> None:
    assert as_outsider.get(PAGE).status_code == as_outsider.get(f"{PAGE}export/").status_code == 404
    assert "Nothing was used" in text_of(as_outsider.get("/o/globex/usage/"))
    assert api_outsider.get("/api/v1/usage/").json()["meters"] == []
    assert api_outsider.get("/api/v1/usage/events/").json()["results"] == []
