"""The pages of limits: what they show, what they refuse, and that a change is one click away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.organizations import services as organizations
from apps.ratelimits import asking, queries, seen, services
from apps.ratelimits.forms import PRESETS
from apps.ratelimits.models import Entry, Policy
from apps.ratelimits.rules import Algorithm, Decision, Rule, Verdict

pytestmark = pytest.mark.django_db

PAGES = "/o/acme/limits/"
FORM = {
    "name": "Each key",
    "subject": ["token"],
    "quantity": "requests",
    "limit": "100",
    "window_s": "60",
    "held_s": "600",
    "is_shadow": "False",
    "algorithm": "gcra",
    "planes": ["predictions"],
    "away": "local",
}


@pytest.fixture
def policy(in_acme: Any, actor: Actor) -> Policy:
    return services.create_policy(name="Each key", subject=["token"], limit=100, by=actor)


def saw(organization_id: Any, policy: Policy | queries.PlanPolicy, subject: str, remaining: int) -> None:
    """Have the limiter decide once: a call that left `remaining`, refused where that is less than none."""
    rule = Rule("key", str(policy.pk), Algorithm.GCRA, policy.limit, 60_000, policy.limit, is_shadow=policy.is_shadow)
    refused = remaining < 0
    verdict = Verdict(not refused, max(remaining, 0), 1000 if refused else 0, 1000)
    now_ms = int(timezone.now().timestamp() * 1000)
    refusals = [0] if refused and not policy.is_shadow else []
    recorder = seen.Recorder(asking.reader())
    recorder.add(str(organization_id), Decision(str(uuid7()), now_ms, [rule], [verdict], refusals=refusals), [subject])
    recorder.flush()
    recorder.close()


def test_a_policy_is_made_by_a_form_that_is_filled_in_already(as_owner: Client, acme: Any) -> None:
    page = as_owner.get(f"{PAGES}new/")
    assert b"100 requests a minute for each API token" in page.content
    answer = as_owner.post(f"{PAGES}new/", FORM)
    assert answer.status_code == 303
    shown = as_owner.get(answer["Location"])
    assert b"100 requests a minute" in shown.content
    assert b"No call met it" in shown.content


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"limit": "0"}, b"greater than or equal to 1"),
        ({"limit": "9" * 14}, b"Give a whole number from 1 to 1,000,000,000,000"),
        ({"planes": []}, b"Choose at least one"),
        ({"subject": ["header"]}, b"Name the header whose value is meant"),
        ({"routes": "jobs"}, b"is no route"),
    ],
)
def test_a_wrong_form_says_what_to_do_and_keeps_what_was_typed(given: Any, told: bytes, as_owner: Client) -> None:
    answer = as_owner.post(f"{PAGES}new/", {**FORM, **given})
    assert answer.status_code == 422
    assert told in answer.content
    assert b'value="Each key"' in answer.content


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "100 requests a minute for each API token"),
        ({"limit": "1", "window_s": "3600", "subject": []}, "1 request an hour for the whole organization"),
        ({"quantity": "concurrency", "subject": ["user"]}, "100 calls at once for each person"),
        ({"quantity": "cost", "limit": "2500000", "window_s": "86400"}, "$2.50 a day for each API token"),
        ({"subject": ["token", "address", "route"], "window_s": "900"}, "100 requests every 15 minutes for each API "),
        ({"subject": ["header"], "header": "x-customer"}, "for each value of x-customer"),
        ({"window_s": "300"}, "100 requests every 5 minutes for each API token"),
        ({"limit": "many"}, "requests a minute"),
    ],
)
def test_the_preview_says_what_the_form_means(given: Any, words: str, as_owner: Client) -> None:
    answer = as_owner.post(f"{PAGES}preview/", {**FORM, **given})
    assert answer.status_code == 200
    assert words in answer.content.decode()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "token, all at once if need be. It counts predictions of your endpoints. What goes over it gets 429."),
        ({"burst": "20"}, "for each API token, up to 20 requests at once if need be."),
        ({"algorithm": "window", "burst": "20"}, "for each API token, never more in any minute."),
        ({"quantity": "concurrency", "burst": "20"}, "100 calls at once for each API token. It counts"),
        ({"is_shadow": "True"}, "What goes over it is counted, and passes."),
        ({"planes": ["api", "check"]}, "What goes over it gets 429, or is told to your services as not allowed."),
    ],
)
def test_the_preview_tells_what_becomes_of_calls(given: Any, words: str, as_owner: Client) -> None:
    answer = as_owner.post(f"{PAGES}preview/", {**FORM, **given})
    assert words in answer.content.decode()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"algorithm": "window", "burst": "5"}, {"burst": None, "window_s": 60}),
        ({"quantity": "concurrency", "burst": "5"}, {"burst": None, "window_s": 600}),
        ({"header": "x-customer"}, {"header": ""}),
        ({"is_shadow": "True"}, {"is_shadow": True}),
    ],
)
def test_what_is_not_shown_does_not_count(given: Any, kept: Any, as_owner: Client, acme: Any) -> None:
    assert as_owner.post(f"{PAGES}new/", {**FORM, **given}).status_code == 303
    with tenancy.scope(acme.pk):
        policy = Policy.objects.get()
    assert {name: getattr(policy, name) for name in kept} == kept


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_policy(name: str, as_owner: Client, acme: Any) -> None:
    form = as_owner.get(f"{PAGES}new/?preset={name}").context["form"]
    sent = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "")}
    answer = as_owner.post(f"{PAGES}new/", sent)
    assert answer.status_code == 303, answer.context["form"].errors
    with tenancy.scope(acme.pk):
        assert PRESETS[name][1].items() <= vars(Policy.objects.get()).items()


def test_an_edit_changes_what_was_typed_and_nothing_else(as_owner: Client, in_acme: Any, actor: Actor) -> None:
    policy = services.create_policy(
        name="Each key", subject=["token"], limit=100, window_s=90, burst=5, routes=["/api/*"], by=actor
    )
    page = as_owner.get(f"{PAGES}{policy.pk}/edit/")
    form = page.context["form"]
    sent = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    answer = as_owner.post(f"{PAGES}{policy.pk}/edit/", {**sent, "routes": "/api/*", "models": "", "limit": "200"})
    assert answer.status_code == 303, answer.context["form"].errors
    policy.refresh_from_db()
    assert (policy.limit, policy.window_s, policy.burst, policy.routes) == (200, 90, 5, ["/api/*"])
    assert (policy.subject, policy.planes) == (["token"], ["predictions", "gateway", "api"])


def test_a_shadow_is_enforced_with_one_click_and_back(as_owner: Client, in_acme: Any, actor: Actor) -> None:
    policy = services.create_policy(name="Trial", limit=1, is_shadow=True, by=actor)
    assert b"Enforce" in as_owner.get(f"{PAGES}{policy.pk}/").content
    as_owner.post(f"{PAGES}{policy.pk}/enforce/")
    policy.refresh_from_db()
    assert not policy.is_shadow
    as_owner.post(f"{PAGES}{policy.pk}/shadow/")
    policy.refresh_from_db()
    assert policy.is_shadow


def test_who_is_limited_is_shown_by_name_with_the_policy(
    as_owner: Client, acme: Any, actor: Actor, policy: Policy
) -> None:
    token, _ = organizations.create_token("nightly scoring", ["predictions.create"], by=actor)
    saw(acme.pk, policy, str(token.pk), 40)
    for _ in range(3):
        saw(acme.pk, policy, str(token.pk), -1)
    page = as_owner.get(PAGES).content.decode()
    assert "nightly scoring" in page
    assert page.count("Each key") >= 2
    detail = as_owner.get(f"{PAGES}{policy.pk}/")
    assert detail.context["history"].total == seen.Counts(passed=1, refused=3, least_headroom=0.0)


def test_a_shadow_policy_shows_what_it_would_have_refused(as_owner: Client, in_acme: Any, actor: Actor) -> None:
    policy = services.create_policy(name="Trial", limit=10, is_shadow=True, by=actor)
    saw(in_acme.pk, policy, "x", -1)
    page = as_owner.get(f"{PAGES}{policy.pk}/")
    assert page.context["history"].total.would_refuse == 1
    assert b"Would have been refused" in page.content


def test_without_redis_the_page_shows_the_policies_and_says_what_is_missing(
    as_owner: Client, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_read", lambda reading: None)
    for path in ("", f"{policy.pk}/", "plan/"):
        page = as_owner.get(f"{PAGES}{path}")
        assert page.status_code == 200
        assert b"cannot be read right now" in page.content
    assert b"Each key" in as_owner.get(PAGES).content


def test_the_number_of_queries_does_not_grow_with_policies(
    as_owner: Client, in_acme: Any, actor: Actor, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for number in (1, 2):
        for extra in range(number):
            policy = services.create_policy(name=f"Policy {number} {extra}", subject=["token"], limit=1, by=actor)
            saw(in_acme.pk, policy, str(uuid7()), -1)
        as_owner.get(PAGES)
        with CaptureQueriesContext(
            connection,
        ) as queries_made:
            as_owner.get(PAGES)
        counts.append(len(queries_made))
    assert counts[0] == counts[1]


def test_the_plan_and_an_override_are_shown(as_owner: Client, in_acme: Any, operator: Actor) -> None:
    page = as_owner.get(f"{PAGES}plan/").content.decode()
    assert "600,000 requests a minute" in page
    assert "1,000 calls at once" in page
    tomorrow = timezone.now().date() + timedelta(days=1)
    services.override_plan_limit("plan-api", 90_000, tomorrow, "Moving their archive", by=operator)
    page = as_owner.get(f"{PAGES}plan/").content.decode()
    assert "90,000 requests a minute" in page
    assert "Moving their archive" in page


def test_somebody_is_denied_and_taken_off_again(as_owner: Client, acme: Any) -> None:
    given = {"kind": "deny", "subject": "address", "value": "203.0.113.9/24", "reason": "Scrapes", "ends_at": ""}
    assert as_owner.post(f"{PAGES}lists/new/", given).status_code == 303
    page = as_owner.get(f"{PAGES}lists/")
    assert b"203.0.113.0/24" in page.content
    with tenancy.scope(acme.pk):
        entry = Entry.objects.get()
    again = as_owner.post(f"{PAGES}lists/new/", given)
    assert (again.status_code, b"is on the lists already" in again.content) == (422, True)
    as_owner.post(f"{PAGES}lists/{entry.pk}/delete/")
    assert b"Nobody is on a list" in as_owner.get(f"{PAGES}lists/").content


def test_an_entry_ends_with_its_last_day_where_the_reader_lives(as_owner: Client, acme: Any) -> None:
    day = timezone.now().date() + timedelta(days=2)
    given = {"kind": "allow", "subject": "model", "value": "leaving", "ends_at": day.isoformat()}
    as_owner.post(f"{PAGES}lists/new/", given)
    with tenancy.scope(acme.pk):
        entry = Entry.objects.get()
    assert entry.ends_at is not None
    assert entry.ends_at - timedelta(days=1) <= timezone.now() + timedelta(days=2)
    past = as_owner.post(f"{PAGES}lists/new/", {**given, "value": "other", "ends_at": "2001-01-01"})
    assert (past.status_code, b"still to come" in past.content) == (422, True)


@pytest.mark.parametrize("subject", ["token", "user"])
def test_whom_people_know_is_chosen_by_name(
    subject: str, as_owner: Client, acme: Any, actor: Actor, owner: Any
) -> None:
    with tenancy.scope(acme.pk):
        token, _ = organizations.create_token("nightly scoring", ["predictions.create"], by=actor)
    name, value = {"token": ("nightly scoring", token.pk), "user": (owner.email, owner.pk)}[subject]
    assert name in as_owner.get(f"{PAGES}lists/new/").content.decode()
    assert as_owner.post(f"{PAGES}lists/new/", {"kind": "deny", "subject": subject, subject: value}).status_code == 303
    assert name in as_owner.get(f"{PAGES}lists/").content.decode()
    with tenancy.scope(acme.pk):
        assert Entry.objects.get().value == str(value)
    again = as_owner.post(f"{PAGES}lists/new/", {"kind": "deny", "subject": subject, subject: value})
    assert "is on the lists already" in str(again.context["form"].errors[subject])
    none = as_owner.post(f"{PAGES}lists/new/", {"kind": "deny", "subject": subject, "value": str(value)})
    assert none.context["form"].errors[subject] == ["This field is required."]


def test_an_entry_is_edited_and_keeps_a_time_within_a_day(as_owner: Client, in_acme: Any, actor: Actor) -> None:
    ends_at = timezone.now() + timedelta(days=2, minutes=3)
    entry = services.create_entry("deny", "address", "203.0.113.0/24", ends_at=ends_at, by=actor)
    url = f"{PAGES}lists/{entry.pk}/edit/"
    form = as_owner.get(url).context["form"]
    sent = {name: form[name].value() for name in form.fields}
    assert as_owner.post(url, {**sent, "kind": "allow", "reason": "Our office"}).status_code == 303
    assert b"203.0.113.0/24 is on the list of those allowed" in as_owner.get(f"{PAGES}lists/").content
    entry.refresh_from_db()
    assert (entry.kind, entry.reason, entry.ends_at) == ("allow", "Our office", ends_at)
    stale = as_owner.post(url, {**sent, "reason": "Theirs"})
    assert (stale.status_code, b"Somebody changed this" in stale.content) == (422, True)
    past = as_owner.post(url, {**sent, "seen": "", "ends_at": "2001-01-01"})
    assert "still to come" in str(past.context["form"].errors["ends_at"])


def test_who_only_reads_sees_no_buttons(as_viewer: Client, acme: Any, actor: Actor, policy: Policy) -> None:
    for path in ("", f"{policy.pk}/", "lists/"):
        page = as_viewer.get(f"{PAGES}{path}").content
        for words in (b"New policy", b"Put in shadow", b">Delete", b"New entry"):
            assert words not in page
    assert as_viewer.post(f"{PAGES}{policy.pk}/enforce/").status_code == 403
