from __future__ import annotations

import json
import re
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import passes, tenancy
from apps.core.ids import uuid7
from apps.gateway import cache, health, queries
from apps.gateway.models import ModelCall, ModelCallBody, Route, Target, Upstream, UpstreamKey, VirtualKey
from apps.usage.models import UsageEvent

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


def given_target(upstream: Upstream, **given: Any) -> dict[str, Any]:
    rows = {"targets-TOTAL_FORMS": "1", "targets-INITIAL_FORMS": "0", "targets-0-place": f"upstream:{upstream.pk}"}
    return {**rows, "targets-0-model": "m-1", **given}


def usual_route(client: Client) -> dict[str, Any]:
    """What the form of a new route holds before anybody types."""
    form = client.get(f"{HOME}routes/new/").context["form"]
    return {field.name: field.value() for field in form if field.value() is not None}


def test_an_upstream_is_created_from_a_preset_with_a_key_nobody_sees_again(as_owner: Client, in_acme: Any) -> None:
    form = as_owner.get(f"{HOME}upstreams/new/", {"preset": "mistral"}).content.decode()
    assert "https://api.mistral.ai/v1" in form
    given = {"name": "Mistral", "kind": "compatible", "base_url": "https://api.mistral.ai/v1", "health_interval_s": 30}
    answer = as_owner.post(f"{HOME}upstreams/new/", {**given, "secret": "sk-0123456789abcdef-wxyz"})
    assert answer.status_code == 303
    page = as_owner.get(answer["Location"]).content.decode()
    assert "…wxyz" in page
    assert "0123456789abcdef" not in page


def test_a_wrong_address_stands_beside_its_field(as_owner: Client, in_acme: Any) -> None:
    given = {"name": "Odd", "kind": "compatible", "base_url": "", "health_interval_s": 30, "secret": "sk-typed"}
    answer = as_owner.post(f"{HOME}upstreams/new/", given)
    assert answer.status_code == 422
    assert "needs its address" in text_of(answer)
    assert b"sk-typed" not in answer.content


def test_moving_an_upstream_removes_its_keys_and_says_so(as_owner: Client, route: Route) -> None:
    upstream = Upstream.objects.get()
    path = f"{HOME}upstreams/{upstream.pk}/"
    assert "Another server gets none of the keys" in text_of(as_owner.get(f"{path}edit/"))
    moved = {"name": "Moved", "kind": "openai", "base_url": "https://api.example.org/v1", "health_interval_s": 30}
    answer = as_owner.post(f"{path}edit/", moved)
    assert "1 of its keys were removed" in as_owner.get(answer["Location"]).content.decode()
    assert not UpstreamKey.objects.exists()


def test_keys_are_added_paused_and_deleted(as_owner: Client, route: Route) -> None:
    path = f"{HOME}upstreams/{Upstream.objects.get().pk}/keys/"
    assert as_owner.post(path, {"name": "second", "secret": "sk-abcdefghijklmnop"}).status_code == 303
    assert as_owner.post(path, {"name": "second", "secret": "sk-abcdefghijklmnop"}).status_code == 422
    key = UpstreamKey.objects.get(name="second")
    assert as_owner.post(f"{path}{key.pk}/pause/").status_code == 303
    key.refresh_from_db()
    assert key.is_paused
    assert as_owner.post(f"{path}{key.pk}/delete/").status_code == 303
    assert not UpstreamKey.objects.filter(name="second").exists()


def test_a_first_route_takes_a_name_and_who_answers(as_owner: Client, in_acme: Any) -> None:
    assert "Nobody answers yet" in text_of(as_owner.get(f"{HOME}routes/new/"))
    upstream = Upstream.objects.create(name="Main", kind="openai", base_url="https://api.example.com/v1")
    given = {**usual_route(as_owner), **given_target(upstream), "name": "team/chat"}
    answer = as_owner.post(f"{HOME}routes/new/", given)
    assert answer.status_code == 303
    assert "goes to Main m-1." in text_of(as_owner.get(answer["Location"]))


def test_another_row_keeps_what_was_typed(as_owner: Client, route: Route) -> None:
    given = {**usual_route(as_owner), **given_target(Upstream.objects.get()), "name": "typed", "add": "1"}
    answer = as_owner.post(f"{HOME}routes/new/", given)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert ('value="typed"' in page, "targets-1-place" in page) == (True, True)
    assert not Route.objects.filter(name="typed").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "no spaces"},
        {"name": "small"},
        {"targets-0-model": ""},
        {"targets-0-place": ""},
        {"targets-0-begins": "08:00"},
        {"targets-0-begins": "8", "targets-0-ends": "24:00"},
        {"targets-0-time_zone": "Mars/Olympus"},
        {"targets-0-days": "7"},
    ],
)
def test_a_wrong_route_is_refused_with_what_was_typed(as_owner: Client, route: Route, wrong: Any) -> None:
    given = {**usual_route(as_owner), **given_target(Upstream.objects.get()), "name": "fresh", **wrong}
    answer = as_owner.post(f"{HOME}routes/new/", given)
    assert answer.status_code == 422
    assert Route.objects.count() == 1


CONDITIONS = {
    "targets-0-max_tokens": "90",
    "targets-0-begins": "22:00",
    "targets-0-ends": "06:00",
    "targets-0-time_zone": "Europe/Berlin",
    "targets-0-days": ["0", "4"],
}
CONDITIONED = {"hours": ["22:00", "06:00"], "max_tokens": 90, "time_zone": "Europe/Berlin", "days": [0, 4]}


def test_editing_a_route_keeps_its_target_and_changes_its_conditions(as_owner: Client, route: Route) -> None:
    target = route.targets.get()
    target.when = {"hours": ["08:00", "18:00"], "min_tokens": 5}
    target.save()
    path = f"{HOME}routes/{route.pk}/"
    page = as_owner.get(f"{path}edit/")
    typed = {field.name: field.value() for field in page.context["form"] if field.value() is not None}
    rows = given_target(target.upstream, **{"targets-INITIAL_FORMS": "1", "targets-0-id": str(target.pk)})  # type: ignore[arg-type]
    answer = as_owner.post(f"{path}edit/", {**typed, **rows, **CONDITIONS, "attempts": "5"})
    assert answer.status_code == 303
    changed = route.targets.get()
    assert (changed.pk, changed.when) == (target.pk, CONDITIONED)
    shown = as_owner.get(f"{path}edit/").content.decode()
    assert 'value="22:00"' in shown
    assert 'value="Europe/Berlin"' in shown
    route.refresh_from_db()
    assert route.attempts == 5


def test_a_route_is_paused_resumed_and_deleted_by_its_name(as_owner: Client, route: Route) -> None:
    path = f"{HOME}routes/{route.pk}/"
    assert as_owner.post(f"{path}pause/").status_code == 303
    assert "are refused until it is resumed" in text_of(as_owner.get(path))
    assert as_owner.post(f"{path}resume/").status_code == 303
    assert as_owner.post(f"{path}delete/", {"confirmation": "other"}).status_code == 422
    assert as_owner.post(f"{path}delete/", {"confirmation": "small"}).status_code == 303
    assert as_owner.get(path).status_code == 404


def test_a_key_s_secret_is_shown_once(as_owner: Client, route: Route) -> None:
    given = {"name": "bot", "routes": [str(route.pk)], "budget": "2.5", "budget_period": "day", "days": "30"}
    answer = as_owner.post(f"{HOME}keys/new/", {**given, "tags": "feature: support"})
    assert answer.status_code == 200
    secret = re.search(r"my_[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", answer.content.decode())
    assert secret
    key = VirtualKey.objects.get()
    page = as_owner.get(f"{HOME}keys/{key.pk}/")
    assert "$2.50" in text_of(page)
    assert secret.group() not in page.content.decode()
    assert (key.routes, key.tags) == ([route.pk], {"feature": "support"})
    assert as_owner.post(f"{HOME}keys/{key.pk}/revoke/").status_code == 303


@pytest.mark.parametrize("wrong", [{"budget": "-1"}, {"days": "9000"}, {"routes": [str(uuid4())]}, {"tags": "none"}])
def test_a_wrong_key_is_refused(as_owner: Client, route: Route, wrong: Any) -> None:
    given = {"name": "bot", "budget_period": "day", "days": "30", **wrong}
    assert as_owner.post(f"{HOME}keys/new/", given).status_code == 422
    assert not VirtualKey.objects.exists()


def test_a_viewer_changes_nothing(as_viewer: Client, route: Route) -> None:
    for path in ("routes/new/", "upstreams/new/", "keys/new/", f"routes/{route.pk}/edit/"):
        assert as_viewer.get(f"{HOME}{path}").status_code == 403
    assert as_viewer.post(f"{HOME}routes/{route.pk}/delete/", {"confirmation": "small"}).status_code == 403


def see(**view: Any) -> None:
    """Write what a process of the data plane would."""
    usual = {
        "breaker": "closed",
        "open_until": None,
        "in_flight": 0,
        "latency_ms": 120.0,
        "failures": {},
        "resting": {},
    }
    upstream, client = Upstream.objects.get(), queries._reader()
    client.zadd(health.PROCESSES, {"one": time.time()})
    client.hset(
        health.VIEWS.format(organization_id=upstream.organization_id),
        "one",
        json.dumps({str(upstream.pk): {**usual, **view}}),
    )


def test_the_page_of_health_says_when_nobody_called(as_viewer: Client, in_acme: Any) -> None:
    assert "No upstreams yet" in text_of(as_viewer.get(f"{HOME}health/"))
    make_route()
    assert "not called" in text_of(as_viewer.get(f"{HOME}health/"))


def test_the_page_of_health_tells_what_is_seen(as_viewer: Client, api_viewer: Any, route: Route) -> None:
    key, soon = UpstreamKey.objects.get(), time.time() + 30
    failures = {"server_error": 4, "timeout": 6}
    see(breaker="open", open_until=soon, in_flight=3, failures=failures, resting={str(key.pk): soon})
    page = text_of(as_viewer.get(f"{HOME}health/"))
    assert "Open" in page
    assert "timeout 6, server error 4" in page
    assert "key first rests for" in page
    [told] = api_viewer.get("/api/v1/gateway/health/").json()["upstreams"]
    assert (told["breaker"], told["in_flight"], told["failures"]) == ("open", 3, failures)
    assert [one["name"] for one in told["resting_keys"]] == ["first"]
    assert told["check"] is None


def test_without_redis_health_is_not_known(
    as_viewer: Client, api_viewer: Any, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_reader", lambda: redis.Redis(port=1))
    assert "Nobody can say now" in text_of(as_viewer.get(f"{HOME}health/"))
    answer = api_viewer.get("/api/v1/gateway/health/")
    assert (answer.status_code, answer.json()["code"]) == (503, "health_unknown")


def test_another_organization_s_health_is_not_seen(api_outsider: Any, route: Route) -> None:
    see()
    assert api_outsider.get("/api/v1/gateway/health/").json()["upstreams"] == []


def test_an_upstream_is_checked_from_its_page(as_owner: Client, as_viewer: Client, in_acme: Any, settings: Any) -> None:
    settings.LLM_URL = "http://127.0.0.1:1/v1"
    upstream = Upstream.objects.create(name="Local", kind="local")
    path = f"{HOME}upstreams/{upstream.pk}/check/"
    for headers in ({}, {"HX-Request": "true"}):
        assert "could not be reached" in text_of(as_owner.post(path, headers=headers))
    assert as_viewer.post(path).status_code == 403


def test_a_route_forgets_its_answers(as_owner: Client, as_viewer: Client, route: Route) -> None:
    route.cache_mode = "exact"
    route.save()
    client, folder = queries._reader(), cache.folder_of(str(route.organization_id), str(route.pk))
    client.set(f"{folder}:answer:one", "kept")
    path = f"{HOME}routes/{route.pk}/"
    assert "Clear the cache" in text_of(as_owner.get(path))
    assert "Clear the cache" not in text_of(as_viewer.get(path))
    assert as_viewer.post(f"{path}clear-cache/").status_code == 403
    assert as_owner.post(f"{path}clear-cache/").status_code == 303
    assert client.get(f"{folder}:answer:one") is None
    assert AuditEntry.objects.filter(action="route.cache_cleared").exists()


def test_a_key_s_budget_and_bounds_are_edited(as_owner: Client, route: Route) -> None:
    given = {"name": "ci", "budget": "5", "budget_period": "month", "days": "30", "requests_per_minute": "60"}
    assert as_owner.post(f"{HOME}keys/new/", given).status_code == 200
    key = VirtualKey.objects.get()
    path = f"{HOME}keys/{key.pk}/"
    form = as_owner.get(f"{path}edit/").context["form"]
    sent = {name: form[name].value() for name in form.fields if form[name].value() not in (None, [])}
    assert (sent["budget"], sent["requests_per_minute"], sent["budget_period"]) == (5, 60, "month")
    changed = {**sent, "budget": "7.5", "routes": [str(route.pk)], "requests_per_minute": "", "tags": "team: a"}
    assert as_owner.post(f"{path}edit/", changed).status_code == 303
    key.refresh_from_db()
    assert (key.budget_micro_usd, key.routes, key.requests_per_minute) == (7_500_000, [route.pk], None)
    assert key.tags == {"team": "a"}
    refused = as_owner.post(f"{path}edit/", {**sent, "budget": "-1"})
    assert refused.status_code == 422
    meanwhile = as_owner.post(f"{path}edit/", {**sent, "budget": "9"})
    assert meanwhile.status_code == 422, "somebody changed it since the form was opened"


def spend(key: VirtualKey, micro_usd: int) -> None:
    UsageEvent.objects.create(
        id=uuid7(),
        meter="output_tokens",
        quantity=5,
        cost_micro_usd=micro_usd,
        occurred_at=timezone.now(),
        dimensions={"token": str(key.token_id)},
    )


def test_a_key_tells_what_it_has_spent(as_owner: Client, api_owner: Any, route: Route) -> None:
    given = {"name": "ci", "budget": "10", "budget_period": "month", "days": "30"}
    as_owner.post(f"{HOME}keys/new/", given)
    key = VirtualKey.objects.get()
    spend(key, 8_500_000)
    page = text_of(as_owner.get(f"{HOME}keys/{key.pk}/"))
    assert "$8.50 of $10.00" in page
    assert re.search(r"Begins anew (in|tomorrow|on)", page), page
    assert "$8.50 of $10.00" in text_of(as_owner.get(f"{HOME}keys/"))
    assert api_owner.get(f"/api/v1/gateway/keys/{key.pk}/").json()["spent_micro_usd"] == 8_500_000
    assert api_owner.get("/api/v1/gateway/keys/").json()["results"][0]["spent_micro_usd"] == 8_500_000
