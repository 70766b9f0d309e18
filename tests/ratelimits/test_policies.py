"""Changes of policies count at once in the control plane: no denial outlives a raised limit."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.ratelimits import errors, services, wording
from apps.ratelimits.models import Entry, Policy

pytestmark = pytest.mark.django_db(transaction=True)

CALL = "/api/v1/projects/"
PASSES_WITHIN_S = 1.0


def limited(acme: Any, actor: Actor, **columns: Any) -> Policy:
    with tenancy.scope(acme.pk):
        return services.create_policy(
            **{"name": "Each key", "subject": ["token"], "planes": ["api"], "limit": 1, "window_s": 3600, **columns},
            by=actor,
        )


def change(acme: Any, policy: Policy, actor: Actor, **columns: Any) -> None:
    with tenancy.scope(acme.pk):
        services.update_policy(policy, by=actor, **columns)


def refused_after(client: Any, count: int) -> list[int]:
    """How calls are answered, one after the other."""
    return [client.get(CALL).status_code for _ in range(count)]


def wait_for(client: Any, status: int) -> float:
    """How long it takes until a call is answered so."""
    began = time.monotonic()
    while client.get(CALL).status_code != status:
        assert time.monotonic() - began < 10, f"never {status}"
        time.sleep(0.02)
    return time.monotonic() - began


def test_s7_a_new_policy_limits_and_a_raised_one_lets_the_refused_pass(acme: Any, actor: Actor, api_owner: Any) -> None:
    assert refused_after(api_owner, 2) == [200, 200]
    policy = limited(acme, actor)
    assert wait_for(api_owner, 429) < PASSES_WITHIN_S
    change(acme, policy, actor, limit=1000)
    assert wait_for(api_owner, 200) < PASSES_WITHIN_S


@pytest.mark.parametrize("algorithm", ["gcra", "window"])
def test_s7_no_denial_outlives_a_raised_limit(acme: Any, actor: Actor, api_owner: Any, algorithm: str) -> None:
    policy = limited(acme, actor, algorithm=algorithm, limit=2)
    wait_for(api_owner, 429)
    assert set(refused_after(api_owner, 5)) == {429}
    change(acme, policy, actor, limit=4)
    wait_for(api_owner, 200)
    assert refused_after(api_owner, 2) == [200, 429]


@pytest.mark.parametrize(
    "columns", [{"is_shadow": True}, {"planes": ["predictions"]}, {"subject": ["user"]}, {"routes": ["/api/v1/jobs/"]}]
)
def test_whatever_ends_the_limit_lets_the_refused_pass(
    acme: Any, actor: Actor, api_owner: Any, columns: dict[str, Any]
) -> None:
    policy = limited(acme, actor)
    wait_for(api_owner, 429)
    change(acme, policy, actor, **columns)
    assert wait_for(api_owner, 200) < PASSES_WITHIN_S


def test_a_deleted_or_paused_policy_limits_nothing(acme: Any, actor: Actor, operator: Actor, api_owner: Any) -> None:
    policy = limited(acme, actor)
    wait_for(api_owner, 429)
    with tenancy.scope(acme.pk):
        services.pause_policy(policy, "It refused everybody", by=operator)
    assert wait_for(api_owner, 200) < PASSES_WITHIN_S
    with tenancy.scope(acme.pk):
        services.resume_policy(policy, by=operator)
    wait_for(api_owner, 429)
    with tenancy.scope(acme.pk):
        services.delete_policy(policy, by=actor)
    assert wait_for(api_owner, 200) < PASSES_WITHIN_S


def test_the_lists_count_at_once(acme: Any, actor: Actor, api_owner: Any) -> None:
    limited(acme, actor)
    wait_for(api_owner, 429)
    with tenancy.scope(acme.pk):
        allowed = services.create_entry("allow", "address", "127.0.0.1", by=actor)
    assert wait_for(api_owner, 200) < PASSES_WITHIN_S
    with tenancy.scope(acme.pk):
        services.update_entry(allowed, kind="deny", reason="On leave", by=actor)
    assert wait_for(api_owner, 403) < PASSES_WITHIN_S
    assert "denies calls of this address" in api_owner.get(CALL).json()["detail"]
    with tenancy.scope(acme.pk):
        services.delete_entry(allowed, by=actor)
    wait_for(api_owner, 429)


def test_an_entry_that_ended_does_not_come_back_to_full_lists(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_ENTRIES", 1)
    ended = services.create_entry("deny", "address", "192.0.2.1", by=actor)
    Entry.objects.filter(pk=ended.pk).update(ends_at=timezone.now() - timedelta(days=1))
    lasting = services.create_entry("deny", "address", "192.0.2.2", by=actor)
    with pytest.raises(errors.TooManyEntries):
        services.update_entry(ended, ends_at=None, by=actor)
    assert services.update_entry(lasting, reason="Still", by=actor).reason == "Still"


def test_an_override_of_the_plan_counts_at_once_and_a_plan_too(
    acme: Any, globex: Any, operator: Actor, api_owner: Any, api_outsider: Any
) -> None:
    today = timezone.now().date()
    with tenancy.scope(acme.pk):
        override = services.override_plan_limit("plan-api", 1, today + timedelta(days=1), "A test", by=operator)
    wait_for(api_owner, 429)
    assert refused_after(api_outsider, 3) == [200, 200, 200]
    with tenancy.scope(acme.pk):
        services.end_override(override, by=operator)
    assert wait_for(api_owner, 200) < PASSES_WITHIN_S


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "a second"), (60, "a minute"), (90, "every 90 seconds"), (3600, "an hour"), (7 * 86_400, "every 7 days")],
)
def test_windows_have_words(seconds: int, words: str) -> None:
    assert wording.window(seconds) == words
