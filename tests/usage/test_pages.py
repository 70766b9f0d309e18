"""The page and the API of usage: by dimension, down to the events, and what of the included amounts is left."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy, time_ranges
from apps.core.ids import uuid7
from apps.usage import exports, queries, services
from apps.usage.models import Entitlement
from tests.usage.test_usage import text_of

pytestmark = pytest.mark.django_db

PAGE = "/o/acme/usage/"
API = "/api/v1/usage/"


def use(quantity: int = 1, hours_ago: float = 1, meter: str = "predictions", **dimensions: str) -> None:
    at = timezone.now() - timedelta(hours=hours_ago)
    services.record(meter, quantity, event_id=uuid7(at), dimensions=dimensions, occurred_at=at)


@pytest.fixture
def used(acme: Any) -> Iterator[None]:
    """Twelve models: the n-th used n rows each of two times; and some rows without a model."""
    with tenancy.scope(acme.pk):
        for number in range(1, 13):
            for hours_ago in (1, 30):
                use(number, hours_ago, model=f"model-{number:02}", tag="night" if hours_ago > 20 else "day")
        use(5)


def links(answer: Any, needle: str) -> list[dict[str, list[str]]]:
    """The queries of the page's links that hold `needle`."""
    found = (unescape(href) for href in re.findall(r'href="(\?[^"]*)"', answer.content.decode()))
    return [parse_qs(urlsplit(href).query) for href in found if needle in href]


def test_the_eight_largest_are_shown_and_the_others_together(as_viewer: Client, used: None) -> None:
    page = text_of(as_viewer.get(PAGE, {"group": "model"}))
    assert "model-12 24" in page
    assert "model-05 10" in page
    assert "5 others 25" in page
    assert "model-04 8" not in page


def test_the_parts_add_up_to_the_whole_in_every_range_and_by_every_dimension(used: None, in_acme: Any) -> None:
    now = timezone.now()
    for time_range in queries.RANGES.values():
        for group in queries.DIMENSIONS:
            for one in queries.usage_by_meter({}, time_range, now, group, most=2):
                parts = [*one.parts, *([one.rest] if one.rest else [])]
                assert sum(part.quantity for part in parts) == one.quantity
                assert sum(part.event_count for part in parts) == one.event_count
                for step, quantity in one.by_step.items():
                    assert sum(part.by_step.get(step, 0) for part in parts) == quantity


def test_days_half_hours_and_events_tell_the_same(used: None, in_acme: Any) -> None:
    now = timezone.now()
    assert {queries._time_field(queries.RANGES[name].steps(now)) for name in ("90d", "24h", "1h")} == {
        "day",
        "at",
        "occurred_at",
    }
    totals = [queries.usage_by_meter({}, queries.RANGES[name], now)[0].quantity for name in ("7d", "30d", "90d")]
    assert totals == [161, 161, 161]


def test_a_bar_opens_the_events_that_it_is_made_of(as_viewer: Client, used: None) -> None:
    page = as_viewer.get(PAGE, {"range": "24h", "group": "model"})
    opened = [one for one in links(page, "at=") if as_viewer.get(PAGE, one).context["events"]]
    assert len(opened) == 1
    drilled = as_viewer.get(PAGE, opened[0])
    assert sum(shown.event.quantity for shown in drilled.context["events"]) == 78 + 5
    assert len(drilled.context["meters"]) == 1


def test_a_part_opens_its_own_events(as_viewer: Client, used: None) -> None:
    (one,) = [link for link in links(as_viewer.get(PAGE, {"group": "model"}), "model-12") if "group" in link]
    assert [shown.event.quantity for shown in as_viewer.get(PAGE, one).context["events"]] == [12, 12]


@pytest.mark.parametrize(
    "at", ["", "yesterday", "2026-01-01T00:00:00", "1999-01-01T00:00:00+00:00", "9999-12-31T23:59:59Z"]
)
def test_a_step_that_is_none_shows_all_events(as_viewer: Client, used: None, at: str) -> None:
    assert len(as_viewer.get(PAGE, {"at": at}).context["events"]) == 25


def test_the_page_takes_as_many_queries_by_a_dimension_with_more_values(as_owner: Client, acme: Any) -> None:
    counts = []
    for number in range(3):
        with tenancy.scope(acme.pk):
            use(token=str(uuid7()), deployment=str(uuid7()), model=str(number))
        with CaptureQueriesContext(connection) as queries_made:
            as_owner.get(PAGE, {"group": "deployment"})
        counts.append(len(queries_made))
    assert counts[1] == counts[2]


def test_a_deployment_is_called_as_calls_name_it(in_acme: Any) -> None:
    use(model="churn", deployment="0190-1")
    (one,) = queries.usage_by_meter({}, time_ranges.DAY, timezone.now(), "deployment")
    assert [(part.value, part.label) for part in one.parts] == [("0190-1", "churn")]


def test_the_page_says_what_is_included_and_what_of_it_is_used(as_viewer: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        use(161, hours_ago=0)
    Entitlement.objects.filter(plan=acme.plan, meter="predictions").update(included=322)
    page = text_of(as_viewer.get(PAGE))
    assert "Too early to tell" in page
    assert "322" in page
    Entitlement.objects.filter(plan=acme.plan, meter="predictions").update(included=10, is_hard=True)
    assert "Used up: more is refused" in text_of(as_viewer.get(PAGE))
    Entitlement.objects.filter(plan=acme.plan, meter="predictions").update(included=None)
    assert "unlimited" in text_of(as_viewer.get(PAGE))


def test_the_api_groups_by_a_dimension(api_viewer: Any, used: None) -> None:
    body = api_viewer.get(API, {"range": "7d", "group_by": "model", "tag": "day"}).json()
    (predictions,) = body["meters"]
    assert predictions["quantity"] == 78
    assert [(one["value"], one["quantity"]) for one in predictions["groups"]][:2] == [
        ("model-12", 12),
        ("model-11", 11),
    ]
    assert len(predictions["groups"]) == 12
    answer = api_viewer.get(API, {"group_by": "colour"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "group_by")


def test_the_api_tells_the_quotas(api_viewer: Any, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        use(161, hours_ago=0)
    Entitlement.objects.filter(plan=acme.plan, meter="predictions").update(included=1000, is_hard=True)
    body = api_viewer.get(f"{API}quotas/").json()
    quotas = {one["meter"]: one for one in body["quotas"]}
    assert body["plan"] == "business"
    assert quotas["predictions"] | {"used": 161} == {
        **quotas["predictions"],
        "unit": "rows",
        "included": 1000,
        "is_hard": True,
        "used": 161,
        "override_ends_at": None,
    }
    assert quotas["predictions"]["forecast"]["outlook"] == "too_early"
    assert quotas["stored_bytes"]["period_end"] is None


def test_an_outsider_sees_no_quota_of_others(api_outsider: Any, used: None) -> None:
    quotas = api_outsider.get(f"{API}quotas/").json()["quotas"]
    assert {one["used"] for one in quotas} == {0}


def test_one_meter_is_shown_and_the_others_are_a_click_away(as_viewer: Client, used: None, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        use(7_000, meter="training_ms")
    page = as_viewer.get(PAGE)
    assert (page.context["meter"].value, page.content.decode().count("data-chart>")) == ("predictions", 1)
    (url,) = [url for one, url in page.context["meters"] if one.value == "training_ms"]
    other = as_viewer.get(f"{PAGE}{url}")
    assert [shown.event.quantity for shown in other.context["events"]] == [7_000]
    assert {one.value for one, _ in other.context["meters"]} == {"predictions", "training_ms"}


def test_what_is_nearly_used_up_is_not_shown_as_used_up(as_viewer: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        use(9_999, hours_ago=0)
    Entitlement.objects.filter(plan=acme.plan, meter="predictions").update(included=10_000)
    page = text_of(as_viewer.get(PAGE))
    assert "99%" in page
    assert "100%" not in page


def test_filters_that_nothing_matches_can_be_taken_away(as_viewer: Client, used: None) -> None:
    page = text_of(as_viewer.get(PAGE, {"model": "unknown"}))
    assert "Nothing matches" in page
    assert "Take away Model" in as_viewer.get(PAGE, {"model": "unknown"}).content.decode()


def test_values_that_differ_in_each_event_are_added_up_by_the_database(in_acme: Any) -> None:
    for number in range(30):
        use(number + 1, tag=f"request-{number}")
    with CaptureQueriesContext(connection) as made:
        (one,) = queries.usage_by_meter({}, time_ranges.DAY, timezone.now(), "tag", most=2)
    assert [(part.value, part.quantity) for part in one.parts] == [("request-29", 30), ("request-28", 29)]
    assert one.rest is not None
    assert (one.rest.label, one.rest.quantity, one.rest.event_count) == ("28 others", 465 - 59, 28)
    assert any("LIMIT 2" in query["sql"] for query in made)


@pytest.mark.parametrize("range_name", ["1h", "24h", "90d"])
def test_events_are_looked_for_among_the_ids_of_their_time(in_acme: Any, range_name: str) -> None:
    """However long the ledger, and however rare what one looks for, older months are not read."""
    now = timezone.now()
    use(hours_ago=0)
    found = queries.filtered({"tag": "rare"}, queries.RANGES[range_name], now)
    assert '"usage_usageevent"."id" >= ' in str(found.query)
    early = queries.RANGES[range_name].start(now)
    late_id = uuid7(early - timedelta(hours=23))
    services.record("predictions", 3, event_id=late_id, dimensions={"tag": "rare"}, occurred_at=early)
    assert [event.pk for event in found] == [late_id]


def test_the_export_holds_no_formula_and_nobody_elses_events(
    as_viewer: Client, acme: Any, globex: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CHUNK", 2)
    with tenancy.scope(acme.pk):
        for number in range(5):
            use(number + 1, model='=cmd|"/C calc"!A0', tag="=1+1")
    with tenancy.scope(globex.pk):
        use(99, model="secret", token="theirs", tag="theirs")
    table = b"".join(as_viewer.get(f"{PAGE}export/", {"tag": "=1+1"}).streaming_content).decode()
    header, *rows = csv.reader(io.StringIO(table))
    assert sorted(row[header.index("quantity")] for row in rows) == ["1", "2", "3", "4", "5"]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert {row[header.index("model")] for row in rows} == {'\'=cmd|"/C calc"!A0'}
    for theirs in ({"model": "secret"}, {"token": "theirs"}, {"tag": "theirs"}):
        found = b"".join(as_viewer.get(f"{PAGE}export/", theirs).streaming_content).decode()
        assert found.splitlines() == [",".join(exports.COLUMNS)]
        assert as_viewer.get(PAGE, theirs).context["meters"] == []
