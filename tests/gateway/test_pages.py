from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import passes, tenancy
from apps.gateway.models import ModelCall, ModelCallBody, Route, Target, Upstream, UpstreamKey

HOME = "/o/acme/gateway/"


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def make_call(**given: Any) -> ModelCall:
    attempt = {"target": "t", "upstream": "Main", "model": "m-1", "key": "", "took_ms": 200.0, "status": 503}
    failed = {**attempt, "error_class": "overloaded", "message": "Busy <b>now</b>.", "is_hedge": False}
    answered = {**attempt, "took_ms": 300.0, "status": 200, "error_class": "", "message": "", "is_hedge": False}
    usual = {
        "occurred_at": timezone.now() - timedelta(minutes=1),
        "request_id": f"req_{uuid4().hex}",
        "face": "chat",
        "route": "small",
        "upstream": "Main",
        "model": "m-1",
        "status": 200,
        "error_code": "",
        "error_class": "",
        "is_stream": True,
        "latency_us": 500_000,
        "first_token_us": 250_000,
        "input_tokens": 1_000,
        "cached_tokens": 200,
        "cache_write_tokens": 0,
        "output_tokens": 77,
        "reasoning_tokens": 0,
        "is_estimated": False,
        "cost_micro_usd": 1_830,
        "saved_micro_usd": None,
        "cache": "",
        "attempts": [failed, answered],
        "tags": {"feature": "search"},
        "client": "127.0.0.1",
        "experiment": "",
        "fault": "",
        "request_bytes": 10,
        "response_bytes": 20,
    }
    return ModelCall.objects.create(**{**usual, **given})


def make_route(name: str = "small", **given: Any) -> Route:
    upstream = Upstream.objects.create(name=f"Provider of {name}", kind="openai", base_url="https://api.example.com/v1")
    UpstreamKey.objects.create(upstream=upstream, name="first", sealed=b"sealed-bytes", hint="a1b2")
    route = Route.objects.create(name=name, **given)
    Target.objects.create(route=route, upstream=upstream, model="m-1")
    return route


@pytest.fixture
def route(in_acme: Any) -> Route:
    return make_route(attempts=2)


def test_the_empty_list_says_what_a_route_is(as_viewer: Client) -> None:
    assert "No routes yet" in text_of(as_viewer.get(HOME))


def test_the_list_shows_what_became_of_a_route_s_calls(as_viewer: Client, route: Route) -> None:
    make_call()
    make_call(status=502, error_code="upstream_failed", error_class="overloaded", cost_micro_usd=None)
    page = text_of(as_viewer.get(HOME))
    assert "Provider of small m-1" in page
    assert "50%" in page
    assert "$0.0018" in page


def test_the_list_takes_as_many_queries_for_three_as_for_one(as_viewer: Client, route: Route) -> None:
    as_viewer.get(HOME)
    with CaptureQueriesContext(connection) as one:
        as_viewer.get(HOME)
    make_route("other")
    make_route("third")
    with CaptureQueriesContext(connection) as three:
        assert "third" in text_of(as_viewer.get(HOME))
    assert len(one) == len(three)


def test_a_route_tells_in_a_sentence_what_will_happen(as_viewer: Client, route: Route) -> None:
    spare = Upstream.objects.create(name="Spare", kind="local", is_paused=True)
    Target.objects.create(route=route, upstream=spare, model="tiny", tier=1)
    page = text_of(as_viewer.get(f"{HOME}routes/{route.pk}/"))
    assert "goes to Provider of small m-1. If that fails, it goes to Spare tiny (paused)." in page
    assert "It is tried 2 times at most, within 2 m 00 s." in page
    assert "/v1/chat/completions" in page


def test_an_upstream_s_page_shows_the_hint_of_its_key_and_nothing_more(as_viewer: Client, route: Route) -> None:
    upstream = Upstream.objects.get()
    answer = as_viewer.get(f"{HOME}upstreams/{upstream.pk}/")
    assert "…a1b2" in text_of(answer)
    assert b"sealed-bytes" not in answer.content
    assert "Provider of small" in text_of(as_viewer.get(f"{HOME}upstreams/"))


def test_calls_are_filtered_by_the_address(as_viewer: Client, route: Route) -> None:
    make_call(request_id="req_one")
    make_call(request_id="req_two", route="other", tags={"feature": "mail"}, status=500)
    for given in ({"route": "small"}, {"tag": "feature:search"}, {"status": "2xx"}, {"request_id": "req_one"}):
        page = as_viewer.get(f"{HOME}calls/", given).content.decode()
        assert page.count("data-row-link") == 1
    assert "No call matches" in text_of(as_viewer.get(f"{HOME}calls/", {"upstream": "nobody"}))
    assert as_viewer.get(f"{HOME}calls/", {"token": "no-id"}).status_code == 404


def test_the_chart_sums_the_filtered_calls(as_viewer: Client, route: Route) -> None:
    make_call()
    make_call(route="other")
    drawn = text_of(as_viewer.get(f"{HOME}calls/chart/", {"route": "small"}))
    assert "$0.0018" in drawn
    assert "1,277" in drawn


def test_a_call_s_page_shows_attempts_tokens_cost_and_body(as_viewer: Client, route: Route) -> None:
    call = make_call()
    ModelCallBody.objects.create(
        pk=call.pk, expires_at=timezone.now() + timedelta(days=1), request="<script>", response="hello"
    )
    answer = as_viewer.get(f"{HOME}calls/{call.pk}/")
    page = text_of(answer)
    assert "overloaded: Busy &lt;b&gt;now&lt;/b&gt;." in page
    assert "$0.0018" in page
    assert "feature search" in page
    assert b"<script>\n" not in answer.content
    assert "&lt;script&gt;" in page


def test_a_body_whose_time_is_over_is_not_shown(as_viewer: Client, route: Route) -> None:
    call = make_call()
    ModelCallBody.objects.create(pk=call.pk, expires_at=timezone.now(), request="secret plan", response="")
    assert "secret plan" not in text_of(as_viewer.get(f"{HOME}calls/{call.pk}/"))


def test_an_unpriced_call_is_called_so(as_viewer: Client, route: Route) -> None:
    call = make_call(cost_micro_usd=None)
    assert "No price is known" in text_of(as_viewer.get(f"{HOME}calls/{call.pk}/"))


def test_the_export_holds_the_filtered_calls_and_no_formula(as_viewer: Client, route: Route) -> None:
    make_call(route="=1+1")
    make_call(route="other")
    lines = b"".join(as_viewer.get(f"{HOME}calls/export/", {"route": "=1+1"}).streaming_content).decode().splitlines()
    assert len(lines) == 2
    assert "'=1+1" in lines[1]


def test_the_playground_hands_out_a_pass_for_models_alone(as_developer: Client, route: Route, acme: Any) -> None:
    assert "Playground" in text_of(as_developer.get(f"{HOME}playground/", {"route": "small"}))
    given = {"route": "small", "system": "", "user": "Hello", "temperature": "0", "max_tokens": "8"}
    answer = as_developer.post(f"{HOME}playground/pass/", given)
    told = passes.read(answer.json()["bearer"], timezone.now().timestamp())
    assert told is not None
    assert (told.organization_id, told.permissions) == (str(acme.pk), frozenset({"gateway.call"}))
    messages = [{"role": "user", "content": "Hello"}]
    wanted = {"model": "small", "messages": messages, "temperature": 0.0, "max_tokens": 8, "stream": True}
    assert answer.json()["body"] == wanted
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("wrong", [{"route": "another"}, {"user": ""}, {"temperature": "9"}, {"max_tokens": "0"}])
def test_the_playground_refuses_what_it_does_not_offer(as_developer: Client, route: Route, wrong: Any) -> None:
    given = {"route": "small", "user": "Hello", "temperature": "", "max_tokens": "8", **wrong}
    answer = as_developer.post(f"{HOME}playground/pass/", given)
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == set(wrong)


def test_the_playground_s_snippet_is_the_call_in_the_form(as_developer: Client, route: Route) -> None:
    given = {"route": "small", "system": "Be brief.", "user": "It's 5 o'clock", "max_tokens": "9"}
    shown = text_of(as_developer.post(f"{HOME}playground/snippet/", given))
    assert "Be brief." in shown
    assert "max_tokens=9" in shown


def test_the_playground_tells_of_its_call_once_it_is_recorded(as_developer: Client, route: Route) -> None:
    path = f"{HOME}playground/calls/req_one/"
    assert as_developer.get(path).status_code == 204
    make_call(request_id="req_one")
    assert "$0.0018" in text_of(as_developer.get(path))


def test_a_viewer_reads_and_calls_nothing(as_viewer: Client, route: Route) -> None:
    assert as_viewer.get(f"{HOME}playground/").status_code == 403
    assert as_viewer.post(f"{HOME}playground/pass/", {"route": "small", "user": "Hello"}).status_code == 403


@pytest.mark.parametrize("slug", ["acme", "globex"])
def test_an_outsider_finds_nothing(slug: str, as_outsider: Client, globex: Any, route: Route) -> None:
    call = make_call()
    home = f"/o/{slug}/gateway/"
    upstream = Upstream.objects.get()
    paths = (f"routes/{route.pk}/", f"upstreams/{upstream.pk}/", f"calls/{call.pk}/")
    assert {as_outsider.get(f"{home}{path}").status_code for path in paths} == {404}


def test_another_organization_s_calls_count_nowhere(as_outsider: Client, globex: Any, route: Route) -> None:
    make_call(request_id="req_one")
    with tenancy.scope(globex.pk):
        make_route("small")
    page = text_of(as_outsider.get("/o/globex/gateway/"))
    assert "$0.0018" not in page
    assert as_outsider.get("/o/globex/gateway/playground/calls/req_one/").status_code == 204
