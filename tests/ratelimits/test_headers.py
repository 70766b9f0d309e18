"""What answers tell of limits, read by the rules of those who read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ratelimits import headers, refusals
from apps.ratelimits.rules import Algorithm, Decision, Rule, Verdict

STRING = re.compile(r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"')  # RFC 9651, section 3.3.3
GO_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?|(\d+)ms")


@dataclass
class Policy:
    name: str
    quantity: str = "requests"


def rule(limit: int = 100, window_ms: int = 60_000, **columns: Any) -> Rule:
    return Rule("limits:{acme}:a", "a", columns.pop("algorithm", Algorithm.GCRA), limit, window_ms, limit, **columns)


def told(*met: tuple[Policy, Rule, Verdict]) -> dict[str, str]:
    policies, rules, verdicts = zip(*met, strict=True)
    fields = headers.fields(Decision("", 0, rules, verdicts), policies)
    assert len({name for name, _ in fields}) == len(fields)
    return dict(fields)


def test_all_policies_are_named_and_of_each_quantity_the_scarcest_is_told() -> None:
    found = told(
        (Policy("A minute"), rule(100), Verdict(True, 40, 0, 30_001)),
        (Policy("A day"), rule(1000, 86_400_000), Verdict(True, 7, 0, 4_000_000)),
        (Policy("Tokens", "tokens"), rule(50_000), Verdict(True, 1200, 0, 90_500)),
        (Policy("At once", "concurrency"), rule(5, algorithm=Algorithm.LEASES), Verdict(True, 3, 0, 60_000)),
    )
    assert found == {
        "ratelimit-policy": '"A minute";q=100;w=60, "A day";q=1000;w=86400, "Tokens";q=50000;qu="tokens";w=60, '
        '"At once";q=5;qu="concurrent-requests"',
        "ratelimit": '"At once";r=3;t=60, "A day";r=7;t=4000, "Tokens";r=1200;t=91',
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "7",
        "x-ratelimit-reset-requests": "1h6m40s",
        "x-ratelimit-limit-tokens": "50000",
        "x-ratelimit-remaining-tokens": "1200",
        "x-ratelimit-reset-tokens": "1m31s",
    }


def test_a_refusal_names_one_moment_and_the_rule_that_waits_longest() -> None:
    policies = [Policy("A minute", "tokens"), Policy("A day", "tokens"), Policy("Calls")]
    rules = [rule(100), rule(1000, 86_400_000), rule(9)]
    verdicts = [Verdict(False, 0, 19_574, 60_000), Verdict(False, 30, 3_700_001, 80_000_000), Verdict(True, 8, 0, 7000)]
    error = refusals.refused(Decision("", 0, rules, verdicts, refusals=[0, 1]), policies)
    assert error.headers["retry-after"] == "3701"
    assert error.headers["ratelimit"] == '"A day";r=30;t=3701, "Calls";r=8;t=7'
    assert error.headers["x-ratelimit-reset-tokens"] == "22h13m20s"
    assert error.message == "The limit “A day” of 1,000 tokens a day is used up. Try again in 1 hour 2 minutes."


def test_a_shadow_is_not_told() -> None:
    assert headers.fields(Decision("", 0, [rule(is_shadow=True)], [Verdict(False, 0, 9, 9)]), [Policy("Shadow")]) == []


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0ms"),
        (120, "120ms"),
        (999, "999ms"),
        (1000, "1s"),
        (1001, "2s"),
        (59_001, "1m0s"),
        (360_000, "6m0s"),
        (3_600_000, "1h0m0s"),
        (3_630_000, "1h0m30s"),
    ],
)
def test_a_reset_is_written_as_openais_clients_read_it(milliseconds: int, text: str) -> None:
    assert headers.duration(milliseconds) == text


@given(st.integers(0, 2**42))
def test_a_reset_is_never_told_too_early(milliseconds: int) -> None:
    found = GO_DURATION.fullmatch(headers.duration(milliseconds))
    assert found
    hours, minutes, seconds, thousandths = (int(number or 0) for number in found.groups())
    read = (hours * 3600 + minutes * 60 + seconds) * 1000 + thousandths
    assert milliseconds <= read < milliseconds + 1000


@given(st.integers(0, 2**42))
def test_who_waits_as_told_waits_long_enough(milliseconds: int) -> None:
    told = dict(headers.retry_fields(milliseconds))
    assert milliseconds <= int(told["retry-after"]) * 1000 < milliseconds + 1000
    assert int(told["retry-after-ms"]) == milliseconds


def test_nobody_is_told_to_wait_for_what_never_passes() -> None:
    assert headers.retry_fields(-1) == []


@given(st.text())
def test_whatever_a_policy_is_called_is_a_string_of_structured_fields(name: str) -> None:
    written = headers.string(name)
    assert STRING.fullmatch(written)
    plain = re.sub(r"\\(.)", r"\1", written[1:-1])
    assert len(plain) == len(name)
    if name.isascii() and name.isprintable():
        assert plain == name


@given(st.integers(1, 10**12), st.integers(-5, 10**12), st.integers(0, 2**42))
def test_numbers_are_integers_of_structured_fields(limit: int, remaining: int, reset: int) -> None:
    found = told((Policy("a"), rule(limit), Verdict(True, remaining, 0, reset)))
    numbers = [int(number) for number in re.findall(r"=(-?\d+)", found["ratelimit-policy"] + found["ratelimit"])]
    assert all(0 <= number <= 999_999_999_999_999 for number in numbers)
