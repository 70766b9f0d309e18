"""Which rules a call meets: pure, and the same in both planes."""

from __future__ import annotations

import time
import timeit
from typing import Any

import pytest

from apps.ratelimits.matching import Asked, Matched, Routes, counted_address, rules_for
from apps.ratelimits.rules import Algorithm
from tests.ratelimits.published import policy, section

ACME, TOKEN, PERSON = "acme", "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5b", "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5c"

METHODS = ("GET", "HEAD", "POST", "OPTIONS")


def asked(**known: Any) -> Asked:
    return Asked(**{"organization_id": ACME, "plane": "predictions", "token": TOKEN, **known})


def names(matched: Matched) -> list[str]:
    return [one.name for one in matched.policies]


def keys(limits: dict[str, Any], *calls: Asked) -> set[str]:
    return {rule.key for call in calls for rule in rules_for(limits, call).rules}


def test_a_rule_says_all_that_the_engine_needs() -> None:
    limits = section(policy(limit=5, burst=2, is_shadow=True, algorithm="window", id="p1"))
    (rule,) = rules_for(limits, asked()).rules
    assert rule.key == f"limits:{{acme}}:p1:r:={TOKEN}"
    assert (rule.limit, rule.burst, rule.window_ms, rule.cost) == (5, 2, 60_000, 1)
    assert (rule.algorithm, rule.is_shadow, rule.policy) == (Algorithm.WINDOW, True, "p1")


def test_what_was_counted_of_one_quantity_is_not_taken_for_another() -> None:
    """A policy that is changed from money to requests would refuse them for years."""
    quantities = {"requests": 1, "tokens": 900, "cost": 5_000_000}
    policies = [policy(id="p1", quantity=quantity) for quantity in quantities]
    assert len({key for one in policies for key in keys(section(one), asked(quantities=quantities))}) == 3


def test_nothing_is_limited_without_a_section() -> None:
    assert rules_for(None, asked()).rules == []
    assert rules_for({}, asked()).rules == []


@pytest.mark.parametrize(
    ("columns", "known"),
    [
        ({"subject": ["user"]}, {}),
        ({"subject": ["address"]}, {"address": "nowhere"}),
        ({"subject": ["token", "model"]}, {}),
        ({"subject": ["header"], "header": "x-customer"}, {"header": lambda name: "   "}),
        ({"planes": ["api"]}, {}),
        ({"models": ["churn"]}, {"model": "leaving"}),
        ({"routes": ["/v2/health"]}, {"route": "/v2/models/{name}/infer"}),
        ({"quantity": "tokens"}, {}),
        ({"begins_at": 2000.0}, {}),
        ({"ends_at": 1000.0}, {}),
    ],
)
def test_a_policy_does_not_apply_to_a_call_that_it_is_not_about(columns: Any, known: Any) -> None:
    assert rules_for(section(policy(**columns)), asked(**known), 1000.0).rules == []


def test_each_combination_of_subjects_is_counted_by_itself() -> None:
    limits = section(policy(subject=["token", "user", "model"]))
    calls = [asked(user=user, model=model) for user in (PERSON, TOKEN) for model in ("a", "b")]
    assert len(keys(limits, *calls)) == 4
    assert len(keys(limits, *calls, *calls)) == 4


def test_a_long_value_makes_a_short_key_of_its_own() -> None:
    limits = section(policy(subject=["header"], header="x-customer"))
    found = keys(limits, *(asked(header=lambda name, number=number: f"{number}{'x' * 150}") for number in range(9)))
    assert len(found) == 9
    assert max(map(len, found)) < 80


def test_a_header_is_asked_for_by_its_name_and_bounded() -> None:
    limits = section(policy(subject=["header"], header="x-customer"))
    wanted: list[str] = []

    def header(name: str) -> str:
        wanted.append(name)
        return "x" * 10_000

    (subject,) = rules_for(limits, asked(header=header)).subjects
    assert (wanted, len(subject)) == (["x-customer"], 200)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_an_ipv6_address_is_counted_as_its_network(address: str, counted: str) -> None:
    assert counted_address(address) == counted


def test_quantities_are_taken_as_they_are_estimated() -> None:
    limits = section(
        policy("R"),
        policy("T", quantity="tokens"),
        policy("C", quantity="cost"),
        policy("N", quantity="concurrency", algorithm="leases"),
    )
    matched = rules_for(limits, asked(quantities={"tokens": 900, "cost": 0}))
    assert {one.name: rule.cost for one, rule in zip(matched.policies, matched.rules, strict=True)} == {
        "R": 1,
        "T": 900,
        "C": 0,
        "N": 1,
    }


@pytest.mark.parametrize(
    ("patterns", "holds"),
    [
        ([], True),
        (["/api/v1/jobs/"], True),
        (["POST /api/v1/jobs/"], True),
        (["GET /api/v1/jobs/"], False),
        (["/api/v1/*"], True),
        (["POST /api/*"], True),
        (["GET /api/*", "/v2/*"], False),
        (["/api/v1/jobs"], False),
    ],
)
def test_routes_are_named_with_or_without_their_method(patterns: list[str], holds: bool) -> None:
    assert Routes(patterns).hold(asked(method="POST", route="/api/v1/jobs/")) is holds


def listed(subject: str, value: str, **more: Any) -> dict[str, Any]:
    return {"subject": subject, "value": value, "header": "", "reason": "", "ends_at": None, **more}


def test_an_allowed_caller_meets_the_limits_of_the_plan_only() -> None:
    limits = section(policy("Own"), policy("Plan", is_of_plan=True), allow=[listed("token", TOKEN)])
    assert names(rules_for(limits, asked())) == ["Plan"]
    assert names(rules_for(limits, asked(token=PERSON))) == ["Own", "Plan"]


def test_a_denied_value_is_refused_even_where_another_is_allowed() -> None:
    limits = section(
        policy(), allow=[listed("token", TOKEN)], deny=[listed("address", "203.0.113.0/24", reason="Scrapes")]
    )
    matched = rules_for(limits, asked(address="203.0.113.77"))
    assert matched.denied is not None
    assert (matched.denied.value, matched.denied.reason, matched.rules) == ("203.0.113.0/24", "Scrapes", [])
    assert rules_for(limits, asked(address="203.0.114.1")).denied is None


@pytest.mark.parametrize(
    ("network", "address", "holds"),
    [
        ("0.0.0.0/0", "8.8.8.8", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "2001:db8::1", True),
        ("203.0.113.7/32", "203.0.113.7", True),
        ("203.0.113.7/32", "::ffff:203.0.113.7", True),
        ("203.0.113.7/32", "203.0.113.8", False),
        ("2001:db8::5/128", "2001:db8::6", False),
    ],
)
def test_networks_hold_their_addresses(network: str, address: str, holds: bool) -> None:
    limits = section(deny=[listed("address", network)])
    assert (rules_for(limits, asked(address=address)).denied is not None) is holds


def test_an_entry_ends_by_itself() -> None:
    limits = section(deny=[listed("token", TOKEN, ends_at=1000.0)])
    assert rules_for(limits, asked(), 999.9).denied is not None
    assert rules_for(limits, asked(), 1000.0).denied is None


def test_a_header_is_listed_under_its_name() -> None:
    limits = section(deny=[listed("header", "gold", header="x-tier")])
    assert rules_for(limits, asked(header={"x-tier": "gold"}.get)).denied is not None
    assert rules_for(limits, asked(header=lambda name: {"x-other": "gold"}.get(name, ""))).denied is None


def test_a_new_section_counts_at_once_and_others_stay() -> None:
    first, second = section(policy(limit=1)), section(policy(limit=2))
    for limits in (first, second, first):
        (rule,) = rules_for(limits, asked()).rules
        assert rule.limit == limits["policies"][0]["limit"]
    (other,) = rules_for(second, asked(organization_id="globex")).rules
    assert other.key.startswith("limits:{globex}:")


def test_lists_of_any_length_cost_the_same() -> None:
    def cost(count: int) -> float:
        entries = [listed("address", f"10.{number // 256}.{number % 256}.0/24") for number in range(count)]
        limits = section(policy(), deny=[*entries, *(listed("token", f"t{number}") for number in range(count))])
        call = asked(address="192.0.2.1")
        rules_for(limits, call)
        return min(timeit.repeat(lambda: rules_for(limits, call), number=200, repeat=5))

    assert cost(500) < 5 * cost(1)


def test_it_is_quick_enough_to_stand_in_every_call() -> None:
    subjects = (["token"], ["address"], ["organization"], ["token", "route"], ["header"])
    limits = section(
        *(policy(f"P{number}", subject=names, header="x-customer") for number, names in enumerate(subjects))
    )
    call = asked(address="2001:db8::1", route="/v2/models/{name}/infer", header=lambda name: "gold")
    assert len(rules_for(limits, call).rules) == 5
    began = time.process_time()
    for _ in range(2000):
        rules_for(limits, call)
    assert (time.process_time() - began) / 2000 < 0.0005


def test_what_limits_a_routes_get_limits_its_head() -> None:
    limits = section(policy(routes=["GET /api/v1/jobs/"]))
    met = {method: len(rules_for(limits, asked(method=method, route="/api/v1/jobs/")).rules) for method in METHODS}
    assert met == {"GET": 1, "HEAD": 1, "POST": 0, "OPTIONS": 0}
