"""Call records as pages, charts and an API."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy, time_ranges
from apps.core.formatting import ABSENT
from apps.core.ids import uuid7
from apps.logs import queries
from apps.logs.models import CallRecord

PAGE = "/o/acme/calls/"
DEPLOYMENT = UUID(int=1)


def call(status: int = 200, minutes_ago: float = 5, latency_us: int = 2000, **fields: Any) -> CallRecord:
    defaults = {
        "id": uuid7(),
        "request_id": f"req_{uuid4().hex[:24]}",
        "occurred_at": timezone.now() - timedelta(minutes=minutes_ago),
        "method": "POST",
        "path": "/v2/models/churn/infer",
        "route": "/v2/models/{name}/infer",
        "request_bytes": 400,
        "response_bytes": 200,
        "model": "churn",
        "error_code": "",
        "client": "127.0.0.1",
    }
    return CallRecord.objects.create(status=status, latency_us=latency_us, **(defaults | fields))


@pytest.fixture
def calls(acme: Any) -> list[CallRecord]:
    with tenancy.scope(acme.pk):
        return [
            call(200, deployment_id=DEPLOYMENT),
            call(422, error_code="wrong_type", deployment_id=DEPLOYMENT),
            call(404, model="nope", path="/v2/models/nope/infer", error_code="model_not_found"),
            call(503, minutes_ago=300, error_code="no_replica"),
        ]


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_list_shows_each_call_with_its_outcome(as_viewer: Client, calls: list[CallRecord]) -> None:
    page = text_of(as_viewer.get(PAGE, {"range": "24h"}))
    for text in ("200 OK", "422 Unprocessable", "wrong_type", "404 Not Found", "503 Service Unavailable", "2 ms"):
        assert text in page


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ({"range": "1h"}, [0, 1, 2]),
        ({"status": "4xx"}, [1, 2]),
        ({"status": "5xx"}, [3]),
        ({"model": "nope"}, [2]),
        ({"deployment": str(DEPLOYMENT), "status": "2xx"}, [0]),
        ({"status": "nonsense"}, [0, 1, 2, 3]),
    ],
)
def test_filters(given: dict[str, str], numbers: list[int], calls: list[CallRecord], in_acme: Any) -> None:
    found = queries.filtered(given, time_ranges.named(given.get("range", "")), timezone.now())
    assert set(found) == {calls[number] for number in numbers}


def test_a_request_id_finds_its_call(as_viewer: Client, calls: list[CallRecord]) -> None:
    page = as_viewer.get(PAGE, {"request_id": calls[1].request_id}).content.decode()
    assert str(calls[1].pk) in page
    assert str(calls[0].pk) not in page


def test_the_counts_beside_the_filters_are_those_of_the_range(calls: list[CallRecord], in_acme: Any) -> None:
    found = queries.choices(time_ranges.DAY, timezone.now())
    assert [(value, count) for value, _, count in found.status] == [("2xx", 1), ("4xx", 2), ("5xx", 1)]
    assert [(value, count) for value, _, count in found.model] == [("churn", 3), ("nope", 1)]


def test_latency_percentiles_and_errors_are_computed_by_step(in_acme: Any) -> None:
    now, one_range = timezone.now(), time_ranges.HOUR
    for latency_us in (1000, 2000, 3000, 4000, 5000):
        call(latency_us=latency_us, minutes_ago=0)
    call(500, latency_us=3000, minutes_ago=0)
    drawn = queries.call_charts(queries.filtered({}, one_range, now), one_range, now)
    (p50, p95) = next(row.cells for row in drawn.latency.rows if row.cells != (ABSENT, ABSENT))
    assert (p50, p95) == ("3 ms", "4.8 ms")
    assert (drawn.call_count, drawn.error_count, drawn.error_share) == (6, 1, 1 / 6)
    assert sum(int(row.cells[0]) for row in drawn.calls.rows) == 6


def test_the_chart_is_a_fragment_for_other_pages(as_viewer: Client, calls: list[CallRecord]) -> None:
    page = text_of(as_viewer.get(f"{PAGE}chart/", {"deployment": str(DEPLOYMENT)}))
    assert "Calls 2 Last hour" in page
    assert "Errors 1 50%" in page
    assert "Navigation" not in page


def test_an_id_that_is_none_is_not_found(as_viewer: Client, acme: Any) -> None:
    assert as_viewer.get(f"{PAGE}chart/", {"deployment": "x"}).status_code == 404


def test_a_calls_page_tells_all_of_it(as_viewer: Client, calls: list[CallRecord]) -> None:
    page = text_of(as_viewer.get(f"{PAGE}{calls[1].pk}/"))
    for text in (calls[1].request_id, "wrong_type", str(DEPLOYMENT), "422 Unprocessable", "400 B", "200 B"):
        assert text in page


def test_the_empty_list_says_what_will_be_here(as_viewer: Client) -> None:
    assert "No calls in this time" in text_of(as_viewer.get(PAGE))


def test_the_list_takes_as_many_queries_for_three_as_for_one(as_owner: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        call(token_id=uuid7())
    as_owner.get(PAGE)
    with CaptureQueriesContext(connection) as one:
        as_owner.get(PAGE)
    with tenancy.scope(acme.pk):
        call(token_id=uuid7(), model="b")
        call(404, token_id=uuid7(), model="c")
    with CaptureQueriesContext(connection) as three:
        as_owner.get(PAGE)
    assert len(one) == len(three)


def test_pages_neither_skip_nor_repeat(as_viewer: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        made = [str(call().pk) for _ in range(53)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = as_viewer.get(PAGE, {"cursor": cursor}).content.decode()
        seen += re.findall(r'href="/o/acme/calls/([0-9a-f-]{36})/" data-row-link', page)
        found = re.search(r'href="\?[^"]*cursor=([0-9a-f-]+)[^"]*" rel="next"', page)
        if not found:
            break
        cursor = found.group(1)
    assert seen == sorted(made, reverse=True)


def test_the_api_lists_filters_and_shows(api_viewer: Any, calls: list[CallRecord]) -> None:
    body = api_viewer.get("/api/v1/calls/", {"status": 422, "deployment_id": str(DEPLOYMENT)}).json()
    assert [one["error_code"] for one in body["results"]] == ["wrong_type"]
    assert api_viewer.get(f"/api/v1/calls/{calls[0].pk}/").json()["latency_us"] == 2000
    recent = {"after": (timezone.now() - timedelta(hours=1)).isoformat()}
    assert len(api_viewer.get("/api/v1/calls/", recent).json()["results"]) == 3


def test_an_outsider_sees_none_of_it(as_outsider: Client, api_outsider: Any, calls: list[CallRecord]) -> None:
    for slug in ("acme", "globex"):
        assert as_outsider.get(f"/o/{slug}/calls/{calls[0].pk}/").status_code == 404
    assert "No calls in this time" in text_of(as_outsider.get("/o/globex/calls/"))
    assert api_outsider.get("/api/v1/calls/").json()["results"] == []
    assert api_outsider.get(f"/api/v1/calls/{calls[0].pk}/").status_code == 404
