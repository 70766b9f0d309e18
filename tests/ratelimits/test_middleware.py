"""The control plane limits the API by the policies of the caller's organization."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.http import StreamingHttpResponse
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from apps.core import snapshots
from apps.core.actors import Actor
from apps.ratelimits import asking
from apps.ratelimits.matching import Asked, rules_for
from apps.ratelimits.middleware import PolicyMiddleware
from tests.ratelimits.published import policy, publish, section

pytestmark = pytest.mark.django_db
JOBS = "/api/v1/jobs/"


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def statuses(client: APIClient, count: int, path: str = JOBS, **how: Any) -> list[int]:
    return [client.get(path, **how).status_code for _ in range(count)]


def test_calls_are_limited_by_key_and_told_of_it(acme: Any, api_owner: APIClient, api_developer: APIClient) -> None:
    publish(acme.pk, policy(limit=2))
    passed = api_owner.get(JOBS)
    assert passed["RateLimit-Policy"] == '"Each key";q=2;w=60'
    assert passed["RateLimit"] == '"Each key";r=1;t=30'
    assert statuses(api_owner, 2) == [200, 429]
    refused = api_owner.get(JOBS)
    assert refused["Content-Type"] == "application/problem+json"
    assert (refused.json()["code"], refused.json()["violated-policies"]) == ("rate_limited", ["Each key"])
    assert 0 < int(refused["retry-after-ms"]) <= int(refused["Retry-After"]) * 1000 <= 30_000
    assert api_developer.get(JOBS).status_code == 200


def test_a_raised_limit_lets_who_was_refused_pass(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, policy(limit=1, window_ms=3_600_000))
    assert statuses(api_owner, 2) == [200, 429]
    publish(acme.pk, policy(limit=2, window_ms=3_600_000))
    assert statuses(api_owner, 2) == [200, 429]


def test_what_is_published_counts_within_half_a_second(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(snapshots.time, "monotonic", lambda: now[0])
    publish(acme.pk, policy(limit=1))
    first = snapshots.read(acme.pk)
    assert snapshots.read(acme.pk) is first
    snapshots._publish(str(acme.pk), lambda: {"limits": section(policy(limit=2))})
    assert snapshots.read(acme.pk) is first
    now[0] += snapshots.READ_EVERY_S
    second = snapshots.read(acme.pk)
    assert second
    assert second.sections["limits"]["policies"][0]["limit"] == 2
    now[0] += snapshots.READ_EVERY_S
    assert snapshots.read(acme.pk) is second


def test_s1_one_organizations_limits_do_not_touch_anothers(
    acme: Any, globex: Any, api_owner: APIClient, api_outsider: APIClient
) -> None:
    publish(acme.pk, policy(subject=["organization"], limit=1))
    assert statuses(api_owner, 2) == [200, 429]
    assert statuses(api_outsider, 2) == [200, 200]


def test_a_policy_of_routes_counts_there_only(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, policy(limit=1, routes=["GET /api/v1/jobs/{id}/"]))
    unknown = f"{JOBS}01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5b/"
    assert statuses(api_owner, 2, unknown) == [404, 429]
    assert statuses(api_owner, 2) == [200, 200]


def test_a_person_is_limited_over_pages_session_and_nobody_on_pages(acme: Any, as_owner: Client) -> None:
    publish(acme.pk, policy("Each person", subject=["user"], limit=1))
    assert statuses(as_owner, 2) == [200, 429]
    assert as_owner.get("/o/acme/jobs/").status_code == 200


def test_a_denied_value_is_refused_and_told_so(acme: Any, api_owner: APIClient) -> None:
    deny = {"subject": "address", "value": "203.0.113.0/24", "reason": "Scrapes"}
    publish(acme.pk, policy(), deny=[deny])
    refused = api_owner.get(JOBS, REMOTE_ADDR="203.0.113.7")
    assert (refused.status_code, refused.json()["code"]) == (403, "call_denied")
    assert "denies calls of this address (Scrapes)." in refused.json()["detail"]
    assert api_owner.get(JOBS).status_code == 200


def test_what_is_denied_stays_so_when_redis_loses_it(
    acme: Any, api_owner: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "READ_EVERY_S", 0)
    publish(acme.pk, deny=[{"subject": "address", "value": "127.0.0.1/32", "reason": "Scrapes"}])
    assert statuses(api_owner, 1) == [403]
    asking.reader().delete(snapshots.KEY.format(organization_id=acme.pk))
    assert statuses(api_owner, 2) == [403, 403]
    publish(acme.pk)
    assert statuses(api_owner, 1) == [200]


def test_a_place_comes_free_with_the_answer_whatever_it_is(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, policy("At once", quantity="concurrency", algorithm="leases", limit=1))
    assert statuses(api_owner, 3, f"{JOBS}none/") == [404] * 3


def test_a_place_is_held_until_a_stream_is_read(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, policy("At once", quantity="concurrency", algorithm="leases", limit=1))
    stream = api_owner.get("/api/v1/audit/export/")
    assert (stream.status_code, stream.streaming) == (200, True)
    assert api_owner.get(JOBS).status_code == 429
    places = f"limits:{{{acme.pk}}}:at-once:*:leases"
    assert asking.reader().keys(places)
    stream.close()
    assert not asking.reader().keys(places)


def test_a_refused_call_has_no_effect(acme: Any, api_owner: APIClient) -> None:
    publish(acme.pk, policy(limit=1))
    assert statuses(api_owner, 1) == [200]
    assert api_owner.post("/api/v1/projects/", {"name": "never"}).status_code == 429
    publish(acme.pk)
    assert api_owner.get("/api/v1/projects/").json()["results"] == []


def test_s7_a_hundred_threads_against_ten_pass_ten(acme: Any) -> None:
    organization_id = str(acme.pk)
    compiled = section(policy(subject=["organization"], limit=10))

    def one(_: int) -> bool:
        return asking.decide(organization_id, rules_for(compiled, Asked(organization_id, "api"))).is_allowed

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(one, range(100))) == 10


def test_a_call_that_outlasts_the_window_keeps_its_place(acme: Any, actor: Actor) -> None:
    places = {"subject": ["organization"], "quantity": "concurrency", "algorithm": "leases"}
    matched = rules_for(section(policy(limit=1, window_ms=1000, **places)), Asked(str(acme.pk), "api"))
    request = RequestFactory().get(JOBS)
    request.organization, request.actor = acme, actor
    decision = asking.decide(str(acme.pk), matched)
    streaming = PolicyMiddleware(lambda _: StreamingHttpResponse(iter(())))._limited(request, matched, decision)
    time.sleep(1.5)
    assert not asking.decide(str(acme.pk), matched).is_allowed
    streaming.close()
    assert asking.decide(str(acme.pk), matched).is_allowed
