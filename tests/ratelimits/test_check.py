"""The engine for an organization's own services."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.core import snapshots
from apps.ratelimits import checking
from apps.ratelimits.checking import Question
from apps.ratelimits.engine import Limiter
from apps.ratelimits.matching import Asked
from tests.ratelimits.published import policy, publish

pytestmark = pytest.mark.django_db
CHECK = "/api/v1/ratelimits/check/"
EXTEND = "/api/v1/ratelimits/extend/"
SETTLE = "/api/v1/ratelimits/settle/"


def customers(**columns: Any) -> dict[str, Any]:
    return policy("Each customer", **{"subject": ["user"], "limit": 3, "planes": ["check"], **columns})


def ask(client: APIClient, **call: Any) -> dict[str, Any]:
    answer = client.post(CHECK, {"user": "ada", **call})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_call_takes_until_nothing_is_left_and_says_when_to_come_back(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers())
    answers = [ask(api_owner) for _ in range(4)]
    assert [answer["is_allowed"] for answer in answers] == [True, True, True, False]
    assert [answer["policies"][0]["remaining"] for answer in answers] == [2, 1, 0, 0]
    assert 0 < answers[-1]["retry_after_ms"] <= 20_000
    assert ask(api_owner, user="bob")["is_allowed"]


def test_the_headers_are_those_of_what_was_asked(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(), policy("Our own", subject=["organization"], planes=["api"], limit=1000))
    answer = api_owner.post(CHECK, {"user": "ada"})
    assert answer["RateLimit-Policy"] == '"Each customer";q=3;w=60'
    assert re.fullmatch(r'"Each customer";r=2;t=20', answer["RateLimit"])
    assert (answer["x-ratelimit-limit-requests"], answer["x-ratelimit-remaining-requests"]) == ("3", "2")


@pytest.mark.parametrize("call", [{"subject": {"user": "bob"}}, {"user": "bob", "token_count": 5}])
def test_a_member_that_is_misspelt_lets_nobody_through(acme: Any, api_owner: APIClient, call: dict[str, Any]) -> None:
    for path, body in ((CHECK, call), (f"{CHECK}batch/", {"calls": [call]})):
        answer = api_owner.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert "There is no such member" in answer.content.decode()


def test_looking_takes_nothing(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers())
    looks = [ask(api_owner, consume=False) for _ in range(5)]
    assert [(look["is_allowed"], look["reservation"]) for look in looks] == [(True, "")] * 5
    assert ask(api_owner)["policies"][0]["remaining"] == 2


def test_a_batch_is_decided_in_its_order(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers())
    calls = [{"user": name} for name in ("ada", "bob", "ada", "ada", "ada")]
    results = api_owner.post(f"{CHECK}batch/", {"calls": calls}).json()["results"]
    assert [result["is_allowed"] for result in results] == [True, True, True, True, False]
    assert [result["policies"][0]["remaining"] for result in results] == [2, 2, 1, 0, 0]


def test_a_batch_holds_a_hundred_calls(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(limit=1000))
    assert len(api_owner.post(f"{CHECK}batch/", {"calls": [{"user": "ada"}] * 100}).json()["results"]) == 100
    assert api_owner.post(f"{CHECK}batch/", {"calls": [{"user": "ada"}] * 101}).status_code == 422
    assert api_owner.post(f"{CHECK}batch/", {"calls": []}).status_code == 422


def test_a_batch_that_only_looks_is_one_round_trip(
    acme: Any, api_owner: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(acme.pk, customers(), customers(id="others", subject=["model"]))
    asked: list[int] = []
    ask_redis = Limiter._ask
    monkeypatch.setattr(Limiter, "_ask", lambda self, calls: asked.append(len(calls)) or ask_redis(self, calls))
    calls = [{"user": "ada", "consume": False}, {"token": "t", "consume": False}, {"user": "ada"}] * 20
    results = api_owner.post(f"{CHECK}batch/", {"calls": calls}).json()["results"]
    assert [len(result["policies"]) for result in results] == [1, 0, 1] * 20
    assert sorted(asked) == [1, 20, 20]  # beside the guard of the API


def test_tokens_are_reserved_by_estimate_and_settled_by_what_was_used(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(quantity="tokens", limit=1000, algorithm="window"))
    said = ask(api_owner, tokens=900)
    assert not ask(api_owner, tokens=200)["is_allowed"]
    assert api_owner.post(SETTLE, {"reservation": said["reservation"], "tokens": 100}).status_code == 204
    assert ask(api_owner, tokens=0)["policies"][0]["remaining"] == 900
    assert ask(api_owner, tokens=1001)["retry_after_ms"] == -1


def test_a_call_that_is_settled_twice_counts_once(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(quantity="tokens", limit=1000, algorithm="window"))
    said = ask(api_owner, tokens=100)
    for _ in range(2):
        answer = api_owner.post(SETTLE, {"reservation": said["reservation"], "tokens": 400})
        assert answer.status_code == 204
    assert ask(api_owner, tokens=0)["policies"][0]["remaining"] == 600


def test_a_place_comes_free_when_the_call_is_settled(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(quantity="concurrency", algorithm="leases", limit=1))
    said = ask(api_owner)
    assert not ask(api_owner)["is_allowed"]
    api_owner.post(SETTLE, {"reservation": said["reservation"]})
    assert ask(api_owner)["is_allowed"]


def test_a_call_that_is_extended_keeps_its_place_beyond_the_window(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(quantity="concurrency", algorithm="leases", limit=1, window_ms=1000))
    said = ask(api_owner)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert api_owner.post(EXTEND, {"reservation": said["reservation"]}).status_code == 204
        assert not ask(api_owner)["is_allowed"]
        time.sleep(0.2)
    api_owner.post(SETTLE, {"reservation": said["reservation"]})
    lost = api_owner.post(EXTEND, {"reservation": said["reservation"]})
    assert (lost.status_code, lost.json()["code"]) == (409, "place_lost")
    assert ask(api_owner)["is_allowed"]


def test_s1_a_place_is_extended_by_its_own_organization(
    acme: Any, globex: Any, api_owner: APIClient, api_outsider: APIClient
) -> None:
    publish(acme.pk, customers(quantity="concurrency", algorithm="leases", limit=1))
    answer = api_outsider.post(EXTEND, {"reservation": ask(api_owner)["reservation"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "reservation_invalid")


def test_s1_a_reservation_is_settled_by_its_own_organization(
    acme: Any, globex: Any, api_owner: APIClient, api_outsider: APIClient
) -> None:
    publish(acme.pk, customers(quantity="concurrency", algorithm="leases", limit=1))
    said = ask(api_owner)
    for client, reservation in ((api_outsider, said["reservation"]), (api_owner, said["reservation"][:-1] + "_")):
        answer = client.post(SETTLE, {"reservation": reservation})
        assert (answer.status_code, answer.json()["code"]) == (422, "reservation_invalid")
    assert not ask(api_owner)["is_allowed"]


def test_s1_one_organizations_limits_do_not_touch_anothers(
    acme: Any, globex: Any, api_owner: APIClient, api_outsider: APIClient
) -> None:
    publish(acme.pk, customers(limit=1))
    publish(globex.pk, customers(limit=1))
    assert [ask(api_owner)["is_allowed"] for _ in range(2)] == [True, False]
    assert ask(api_outsider)["is_allowed"]


def test_one_policy_is_asked_by_its_name(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(), policy("Everybody", subject=["organization"], planes=["check"], limit=100))
    assert {told["name"] for told in ask(api_owner)["policies"]} == {"Each customer", "Everybody"}
    assert [told["name"] for told in ask(api_owner, policy="Everybody")["policies"]] == ["Everybody"]
    unknown = api_owner.post(CHECK, {"user": "ada", "policy": "Nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "policy_not_asked")
    unfit = api_owner.post(CHECK, {"policy": "Each customer"})
    assert (unfit.status_code, unfit.json()["code"]) == (422, "policy_unfit")


def test_a_policy_of_other_calls_does_not_count_here(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(planes=["predictions"], limit=1))
    assert [ask(api_owner)["policies"] for _ in range(2)] == [[], []]


def test_lists_count_here_too(acme: Any, api_owner: APIClient) -> None:
    deny = {"subject": "user", "value": "eve", "reason": "Scrapes"}
    allow = {"subject": "user", "value": "ada", "reason": ""}
    publish(acme.pk, customers(limit=1), deny=[deny], allow=[allow])
    said = ask(api_owner, user="eve")
    assert (said["is_allowed"], said["denied_because"], said["retry_after_ms"]) == (False, "Scrapes", -1)
    assert all(ask(api_owner)["is_allowed"] for _ in range(3))


def test_a_shadow_counts_and_refuses_nothing(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, customers(limit=1, is_shadow=True))
    said = [ask(api_owner) for _ in range(2)][1]
    assert said["is_allowed"]
    assert not said["policies"][0]["is_allowed"]


def test_who_may_not_ask_is_refused(acme: Any, api_viewer: APIClient) -> None:
    answer = api_viewer.post(CHECK, {})
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


def test_s7_a_hundred_at_once_against_ten_pass_ten(acme: Any) -> None:
    publish(acme.pk, customers(limit=10, algorithm="window"))
    organization_id = str(acme.pk)
    snapshots.read(organization_id)

    def one(_: int) -> bool:
        question = Question(Asked(organization_id, checking.PLANE, user="ada"))
        return checking.check(organization_id, [question])[0].is_allowed

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(one, range(100))) == 10
