"""What limits strangers: the installation's guards, as the code has them and as an operator changes them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from apps.accounts import tries
from apps.core import snapshots
from apps.core.actors import Actor
from apps.ratelimits import asking, seen
from apps.ratelimits.engine import Limiter
from apps.ratelimits.errors import LimitOutOfBounds
from apps.ratelimits.guards import services
from apps.ratelimits.guards.known import INSTALLATION, KNOWN, UNCHANGED, in_force
from apps.ratelimits.middleware import GuardMiddleware
from apps.ratelimits.models import Guard
from tests.accounts.browsers import is_signed_in, sign_in
from tests.accounts.signing import ask_token
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    asking.recorder().flush()  # what the test before it decided in its last second
    cache.clear()
    snapshots._read.clear()
    yield
    snapshots._read.clear()
    cache.clear()


@pytest.fixture
def operator(db: None) -> Any:
    return UserFactory(email="operator@modelyard.test", is_staff=True, is_superuser=True)


@pytest.fixture
def by(operator: Any) -> Actor:
    return Actor("operator", operator.pk, operator.email, user_id=operator.pk)


@pytest.fixture
def person(db: None) -> Any:
    return UserFactory(email="ada@acme.test")


def change(name: str, by: Actor, **wanted: Any) -> None:
    services.declare_guards()
    guard = Guard.objects.get(pk=name)
    columns = {column: getattr(guard, column) for column in services.COLUMNS}
    services.change_guard(guard, **{**columns, **wanted}, by=by)
    services.publish_or_leave_to_beat()  # a test's transaction never commits


def test_a_guard_that_nobody_changed_is_as_the_code_says(by: Actor) -> None:
    services.declare_guards()
    services.publish_or_leave_to_beat()
    assert in_force(snapshots.read(INSTALLATION)) == UNCHANGED
    assert set(Guard.objects.values_list("pk", flat=True)) == set(KNOWN)


def test_declaring_again_keeps_what_an_operator_set_and_follows_the_code_elsewhere(by: Actor) -> None:
    change("sign-in", by, limit=7)
    Guard.objects.filter(pk="sign-up").update(limit=1)
    services.declare_guards()
    assert Guard.objects.get(pk="sign-in").limit == 7
    assert Guard.objects.get(pk="sign-up").limit == KNOWN["sign-up"].limit


def test_a_changed_guard_counts_at_once_and_leaves_a_line(by: Actor, person: Any) -> None:
    change("sign-in", by, limit=3)
    assert [ask_token(person.email).status_code for _ in range(4)] == [200, 200, 200, 429]
    change("sign-in", by, limit=4)
    assert [ask_token(person.email).status_code for _ in range(2)] == [200, 429]
    assert "From 3 requests a minute;" in LogEntry.objects.latest("pk").change_message


def test_only_operators_change_a_guard_and_within_bounds(by: Actor) -> None:
    with pytest.raises(LimitOutOfBounds):
        change("sign-in", by, limit=0)


def test_a_shadow_counts_and_refuses_nobody(by: Actor, person: Any) -> None:
    change("sign-in", by, limit=1, is_shadow=True)
    assert [ask_token(person.email).status_code for _ in range(3)] == [200] * 3
    asking.recorder().flush()
    counts = seen.summed(asking.reader(), INSTALLATION, datetime.fromtimestamp(0, UTC))["sign-in"]
    assert (counts.passed, counts.would_refuse) == (1, 2)


def test_s8_the_page_and_the_api_share_the_guard_of_an_address(by: Actor, person: Any) -> None:
    change("sign-in", by, limit=2)
    assert ask_token(person.email).status_code == 200
    sign_in(Client(), person.email)
    refused = Client().post(LOGIN, {"login": person.email, "password": PASSWORD})
    assert refused.status_code == 429
    assert "Not so fast" in refused.content.decode()
    assert 0 < int(refused["Retry-After"]) <= 60
    assert ask_token(person.email).json()["code"] == "too_many_attempts"


def test_s8_an_ipv6_network_counts_as_one_address(by: Actor, person: Any) -> None:
    change("sign-in", by, limit=1)
    addresses = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1")
    body = {"login": person.email, "password": PASSWORD}
    answers = [Client().post(LOGIN, body, REMOTE_ADDR=address).status_code for address in addresses]
    assert answers == [302, 429, 302]


def test_s8_wrong_tokens_of_an_address_are_told_to_wait_and_right_ones_pass(
    by: Actor, acme: Any, api_owner: APIClient
) -> None:
    change("wrong-token", by, limit=3)
    wrong = APIClient()
    wrong.credentials(HTTP_AUTHORIZATION=f"Bearer {api_owner.token[:-3]}xxx")
    answers = [wrong.get("/api/v1/jobs/") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 2
    assert answers[-1].json()["code"] == "rate_limited"
    assert int(answers[-1]["Retry-After"]) > 0
    assert api_owner.get("/api/v1/jobs/").status_code == 200
    assert APIClient().get("/api/v1/jobs/").status_code == 401


def test_the_api_as_a_whole_is_guarded_by_address(by: Actor, api_owner: APIClient) -> None:
    change("api", by, limit=2)
    assert [api_owner.get("/api/v1/jobs/").status_code for _ in range(3)] == [200, 200, 429]
    assert api_owner.get("/api/v1/jobs/", REMOTE_ADDR="203.0.113.9").status_code == 200


def test_refreshing_is_guarded_by_address(by: Actor) -> None:
    change("refresh", by, limit=2)
    client = APIClient()
    answers = [client.post("/api/v1/auth/refresh/", {"refresh": "none"}, format="json") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


def test_webhooks_that_come_in_are_guarded_wherever_they_will_be(by: Actor) -> None:
    change("webhooks-in", by, limit=1)
    assert [Client().post("/hooks/anything/").status_code for _ in range(2)] == [404, 429]


def test_a_reset_password_forgives_the_failed_tries(person: Any) -> None:
    request = Client().get(LOGIN).wsgi_request
    for _ in range(5):
        tries.count(request, person.email)
    with pytest.raises(tries.TooManyFailed):
        tries.count(request, person.email)
    tries.forget(person.email)
    tries.count(request, person.email)


def test_s3_redis_does_not_know_who_tried(person: Any) -> None:
    sign_in(Client(), person.email, "wrong")
    asking.recorder().flush()
    keys = asking.reader().keys(f"limits:{{{INSTALLATION}}}:*")
    assert [key for key in keys if b"failed-sign-in-account" in key]
    assert not [key for key in keys if person.email.encode() in key]


@pytest.mark.parametrize(("away", "passes"), [("local", 2), ("closed", 0)])
def test_s8_while_redis_is_away_guards_count_alone_or_let_nobody_in(
    away: str, passes: int, by: Actor, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change("sign-in", by, limit=2, away=away)
    snapshots.read(INSTALLATION)
    gone = Limiter.from_url("redis://127.0.0.1:1/0")
    monkeypatch.setattr(asking, "limiter", lambda: gone)
    signed_in = []
    for _ in range(4):
        browser = Client()
        sign_in(browser, person.email)
        signed_in.append(is_signed_in(browser))
    assert signed_in == [True] * passes + [False] * (4 - passes)


@pytest.mark.django_db(databases=["default", "console"])
def test_the_operator_changes_guards_in_the_console(operator: Any) -> None:
    services.declare_guards()
    browser = Client()
    browser.force_login(operator)
    page = browser.get("/admin/ratelimits/guard/")
    assert page.status_code == 200
    assert "Failed sign-ins to one account" in page.content.decode()
    asked = browser.post("/admin/ratelimits/guard/", {"action": "change", "_selected_action": "sign-up"})
    assert 'name="window_s"' in asked.content.decode()


@pytest.mark.django_db(transaction=True, databases=["default", "console"])
def test_what_the_operator_writes_into_the_console_counts_after_the_commit() -> None:
    operator = UserFactory(email="operator@modelyard.test", is_staff=True, is_superuser=True)
    services.declare_guards()
    browser = Client()
    browser.force_login(operator)
    answer = {"action": "change", "_selected_action": "sign-up", "limit": "1", "window_s": "60", "away": "closed"}
    browser.post("/admin/ratelimits/guard/", answer)
    browser.post("/admin/ratelimits/guard/", {**answer, "limit": "many"})
    assert Guard.objects.values("limit", "window_s", "away").get(pk="sign-up") == {
        "limit": 1,
        "window_s": 60,
        "away": "closed",
    }
    body = {"email": "not an address", "password1": ""}
    assert [Client().post("/accounts/signup/", body).status_code for _ in range(2)] == [200, 429]


def test_a_strangers_form_is_read_only_where_it_names_an_account() -> None:
    """A large one elsewhere would be taken to disk before anybody asks who sends it."""

    def read_by(path: str) -> bool:
        request = RequestFactory().post(path, {"email": "ada@acme.test"})
        GuardMiddleware(lambda request: HttpResponse())(request)
        return hasattr(request, "_post")

    assert read_by("/accounts/password/reset/")
    assert not read_by("/o/acme/data/upload/")


def guards(*arguments: str) -> str:
    out = StringIO()
    call_command("guards", *arguments, stdout=out)
    snapshots._read.clear()
    return out.getvalue()


@pytest.mark.parametrize("rescue", ["reset", "shadow"])
@pytest.mark.parametrize("ids", [(), ("sign-in", "failed-sign-in", "failed-sign-in-account")])
def test_an_operator_whom_a_guard_keeps_out_is_let_in_from_the_command_line(
    operator: Any, by: Actor, rescue: str, ids: tuple[str, ...], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        change("sign-in", by, limit=1, window_s=31 * 86_400)
    snapshots._read.clear()
    client = Client()
    sign_in(client, operator.email, "wrong")
    assert sign_in(client, operator.email, PASSWORD).status_code == 429
    with django_capture_on_commit_callbacks(execute=True):
        guards(rescue, *ids)
    sign_in(client, operator.email, PASSWORD)
    assert is_signed_in(client)


def test_the_command_line_tells_the_guards_and_knows_no_others(by: Actor) -> None:
    change("sign-up", by, limit=7)
    said = guards("list")
    assert "sign-up: 7 requests a minute" in said
    assert said.count("\n") == len(KNOWN)
    assert "sign-up: 20 requests a minute" in guards("reset", "sign-up")
    with pytest.raises(CommandError):
        guards("reset", "nobody")
