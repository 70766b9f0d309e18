"""Budgets of keys: money is held before a call and settled after it, and never spent twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.gateway import budgets, services, spending
from apps.gateway.enums import BudgetPeriod
from apps.gateway.models import ModelCall
from apps.gateway.snapshot import compile_section
from apps.usage import counting
from apps.usage.models import UsageEvent
from apps.usage.quotas import Counter as Amount
from tests.edge.plane import Plane, Reply, made_plane, wait_until
from tests.gateway.plane import PRICE, add_route, add_upstream, section, target
from tests.replica.models import ModelFiles
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider
from tests.stand_ins.provider_answers import Saying

KEY = "0190a6c0-0000-7000-8000-0000000000aa"
# $2 for each of 100 tokens of output and nothing else, so that a call costs what it was expected to cost.
FLAT = {**PRICE, "input": 0, "cached": 0, "cache_write": 0, "output": 2_000_000_000_000}
CALL = 200_000_000  # micro-USD
ASK = [{"role": "user", "content": "Say good morning"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider.running() as started:
        yield started


@pytest.fixture
def stand_in(running: Provider) -> Provider:
    running.forget()
    running.answer = provider.saying(Saying(input=20, cached=0, output=100))
    return running


@pytest.fixture
def plane(tmp_path: Path, stand_in: Provider) -> Iterator[Plane]:
    for made in made_plane(tmp_path, ModelFiles(tmp_path, tmp_path)):
        made.token = made.acme.token("gateway.call")
        upstream = add_upstream(made.acme, f"{stand_in.url}/v1")
        add_route(made.acme, "chat", target(upstream, prices=[FLAT]), attempts=1)
        add_route(made.acme, "free", target(upstream, prices=[{**FLAT, "output": 0}]))
        add_route(made.acme, "unpriced", target(upstream, prices=[FLAT]), target(upstream, prices=[], tier=1))
        yield made


def allow(plane: Plane, calls: int, used: int = 0, period: str = "month", *, is_known: bool = True) -> Amount:
    """Give the key a budget for so many calls; `is_known` puts its counter into Redis as the control plane does."""
    counted = budgets.period_name(BudgetPeriod(period), datetime.now(UTC))
    budget = {"limit": calls * CALL, "period": period, "used": used * CALL, "counted": counted}
    section(plane.acme)["keys"][plane.token.token_id] = {"id": KEY, "routes": None, "budget": budget, "tags": {}}
    plane.acme.publish()
    counter = Amount(plane.acme.id, budgets.name_of(KEY), counted)
    if is_known:
        plane.valkey.client.hset(counter.keys[0], "used", used * CALL)
    plane.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
    return counter


def spent(plane: Plane, counter: Amount) -> tuple[int, int]:
    """What is used and what is held, in calls."""
    told = plane.valkey.client.hgetall(counter.keys[0])
    return int(told.get(b"used", 0)) // CALL, int(told.get(b"held", 0)) // CALL


def ask(plane: Plane, model: str = "chat", **body: Any) -> Reply:
    headers = {"authorization": f"Bearer {plane.token}"}
    asked = {"model": model, "messages": ASK, "max_tokens": 100, **body}
    return plane.edge.call("POST", "/v1/chat/completions", asked, headers)


def test_s7_of_a_hundred_calls_at_once_a_budget_for_ten_lets_ten_pass(plane: Plane, stand_in: Provider) -> None:
    stand_in.answer = provider.saying(Saying(input=20, cached=0, output=100), pause_s=0.05)
    counter = allow(plane, 10)

    def until_not_shed(_: int) -> int:
        return wait_until(lambda: status if (status := ask(plane).status) != 503 else None, "an answer")

    with ThreadPoolExecutor(25) as pool:
        found = Counter(pool.map(until_not_shed, range(100)))
    assert found == {200: 10, 429: 90}
    assert len(stand_in.received) == 10
    wait_until(lambda: spent(plane, counter) == (10, 0), "all settled")


def test_a_refusal_tells_the_budget_what_was_spent_and_when_it_renews(plane: Plane) -> None:
    allow(plane, 1)
    assert ask(plane).status == 200
    refused = ask(plane)
    assert (refused.status, refused.json["code"]) == (429, "budget_exceeded")
    assert "may spend $200.00 a month, and $200.00 of that" in refused.json["error"]["message"]
    assert "begins anew on 1 " in refused.json["error"]["message"]
    month = budgets.renewed_at(BudgetPeriod.MONTH, datetime.now(UTC))
    assert month is not None
    assert abs(int(refused.headers["retry-after"]) - (month - datetime.now(UTC)).total_seconds()) < 60


def test_a_budget_in_all_tells_no_time_to_try_again(plane: Plane) -> None:
    allow(plane, 1, used=1, period="total")
    refused = ask(plane)
    assert (refused.status, "retry-after" in refused.headers) == (429, False)
    assert "in all" in refused.json["error"]["message"]


def test_a_call_that_failed_gives_its_money_back(plane: Plane, stand_in: Provider) -> None:
    counter = allow(plane, 1)
    stand_in.next.append(provider.refusing(400, "Unknown field", "invalid_request_error"))
    assert ask(plane).status == 400
    wait_until(lambda: spent(plane, counter) == (0, 0), "given back")
    assert ask(plane).status == 200


def test_what_a_call_did_not_take_is_given_back(plane: Plane, stand_in: Provider) -> None:
    counter = allow(plane, 10)
    assert ask(plane, max_tokens=900).status == 200
    wait_until(lambda: spent(plane, counter) == (1, 0), "settled")


def test_p9_a_stream_that_breaks_off_takes_what_was_seen(plane: Plane, stand_in: Provider) -> None:
    counter = allow(plane, 10)
    stand_in.next.append(provider.reset_after(2))
    ask(plane, stream=True)
    told = wait_until(lambda: plane.valkey.events("events:models"), "the call's event")[0]
    assert told["is_estimated"]
    key = counter.keys[0]
    wait_until(lambda: int(plane.valkey.client.hget(key, "used")) == told["cost_micro_usd"] > 0, "settled")


def test_what_costs_nothing_passes_and_what_has_no_price_does_not(plane: Plane, stand_in: Provider) -> None:
    allow(plane, 1, used=1)
    assert ask(plane, "free").status == 200
    refused = ask(plane, "unpriced")
    assert (refused.status, refused.json["code"]) == (403, "model_unpriced")
    assert len(stand_in.received) == 1


def test_a_counter_that_redis_lost_is_no_new_budget(plane: Plane) -> None:
    """The process goes on from what its snapshot tells, and asks for the counter to be made anew."""
    counter = allow(plane, 3, used=2, is_known=False)
    assert [ask(plane).status for _ in range(2)] == [200, 429]
    told = f"{counter.organization_id} {KEY} {counter.period}".encode()
    wait_until(lambda: plane.valkey.client.sismember(budgets.DOUBTED, told), "doubted")


def test_the_next_day_is_a_new_budget(plane: Plane) -> None:
    allow(plane, 1, used=1, period="day")
    told = section(plane.acme)["keys"][plane.token.token_id]["budget"]
    told["counted"] = "2000-01-01"
    plane.valkey.client.flushall()
    plane.acme.publish()
    wait_until(lambda: ask(plane).status == 200, "a day that nothing was spent in")


@pytest.mark.parametrize(
    ("period", "name", "began", "renewed"),
    [
        ("day", "2026-02-28", datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ("month", "2026-02", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ("total", "all", None, None),
    ],
)
def test_periods_are_those_of_utc(period: str, name: str, began: datetime | None, renewed: datetime | None) -> None:
    kind, now = BudgetPeriod(period), datetime.fromisoformat("2026-03-01T00:30:00+01:00")
    told = budgets.period_name(kind, now), budgets.began_at(kind, now), budgets.renewed_at(kind, now)
    assert told == (name, began, renewed)


def record_call(token_id: UUID, cost: int | None, at: datetime) -> UUID:
    """A call as the sink writes it, in the table of calls and in the ledger."""
    pk = uuid7(at)
    numbers = dict.fromkeys(("latency_us", "request_bytes", "response_bytes"), 1)
    texts = ("request_id", "upstream", "model", "error_code", "error_class", "cache", "client", "experiment", "fault")
    flags = {"is_stream": False, "is_estimated": False, "attempts": [], "tags": {}}
    told = {**numbers, **dict.fromkeys(texts, ""), **flags, "face": "chat", "route": "chat", "status": 200}
    ModelCall.objects.create(id=pk, occurred_at=at, token_id=token_id, cost_micro_usd=cost, **told)
    used = {"meter": "output_tokens", "quantity": 5, "cost_micro_usd": cost, "dimensions": {"token": str(token_id)}}
    UsageEvent.objects.create(id=uuid7(at), occurred_at=at, **used)
    return pk


@pytest.mark.django_db
def test_the_snapshot_tells_the_budget_and_what_is_spent_of_it(in_acme: Any, actor: Actor) -> None:
    key, _ = services.create_key("ci", budget_micro_usd=5_000, budget_period="month", by=actor)
    now = timezone.now()
    record_call(key.token_id, 300, now)
    record_call(key.token_id, None, now)
    record_call(key.token_id, 9_000, now - timedelta(days=40))
    record_call(uuid7(), 9_000, now)
    counted = budgets.period_name(BudgetPeriod.MONTH, now)
    told = compile_section()["keys"][str(key.token_id)]["budget"]
    assert told == {"limit": 5_000, "period": "month", "used": 300, "counted": counted}
    key = services.update_key(key, budget_period="total", by=actor)
    assert spending.used_by([key]) == {key.pk: 9_300}


@pytest.mark.django_db
@pytest.mark.parametrize(("period", "used"), [("day", 300), ("total", 9_800)])
def test_a_doubted_counter_is_made_anew_from_the_calls_on_record(
    in_acme: Any, actor: Actor, period: str, used: int
) -> None:
    key, _ = services.create_key("ci", budget_micro_usd=50_000, budget_period=period, by=actor)
    now = timezone.now()
    record_call(key.token_id, 300, now)
    record_call(key.token_id, 500, now - timedelta(days=1, hours=1))
    record_call(key.token_id, 9_000, now - timedelta(days=40))
    name = budgets.period_name(BudgetPeriod(period), now)
    counter = Amount(str(tenancy.current_tenant_id()), budgets.name_of(str(key.pk)), name, 50_000)
    counting.client().delete(*counter.keys)
    counting.client().sadd(budgets.DOUBTED, f"{counter.organization_id} {key.pk} {name}")
    assert spending.restore() == 1
    assert spending.restore() == 0
    assert int(counting.client().hget(counter.keys[0], "used")) == used  # type: ignore[arg-type]


@pytest.mark.django_db
def test_a_call_that_was_settled_and_recorded_counts_once(in_acme: Any, actor: Actor) -> None:
    key, _ = services.create_key("ci", budget_micro_usd=50_000, by=actor)
    now = timezone.now()
    name = budgets.period_name(BudgetPeriod.MONTH, now)
    counter = Amount(str(tenancy.current_tenant_id()), budgets.name_of(str(key.pk)), name, 50_000)
    counting.client().delete(*counter.keys)
    counting.quotas().settle({counter: 700}, record_call(key.token_id, 700, now))
    counting.quotas().settle({counter: 40}, uuid7())  # not on record yet
    counting.client().sadd(budgets.DOUBTED, f"{counter.organization_id} {key.pk} {name}")
    assert spending.restore() == 1
    assert int(counting.client().hget(counter.keys[0], "used")) == 740  # type: ignore[arg-type]


@pytest.mark.django_db
def test_what_is_doubted_of_a_key_that_is_gone_is_nobodys(in_acme: Any) -> None:
    counting.client().sadd(budgets.DOUBTED, f"{tenancy.current_tenant_id()} {uuid7()} 2026-01")
    assert spending.restore() == 0
