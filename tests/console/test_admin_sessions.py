"""Sessions in the console: found by their person, told without their keys, ended through the service of accounts."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.jwt import families
from apps.accounts.models import RefreshFamily, Session, User
from apps.audit.models import AuditEntry
from apps.core import live, tenancy
from apps.organizations.models import ActingSession, Membership
from tests.accounts.signing import program, signed_in
from tests.accounts.test_sessions import FIREFOX, browser_of, is_signed_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

SESSIONS = "/admin/accounts/session/"
PROGRAMS = "/admin/accounts/refreshfamily/"
ACTING = "/admin/organizations/actingsession/"


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@modelyard.test", "a-password")


@pytest.fixture
def console(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def listed(console: Client, path: str) -> list[Any]:
    return list(console.get(path).context["cl"].result_list)


def end(console: Client, path: str, *ids: Any) -> Any:
    return console.post(path, {"action": "end", "_selected_action": [str(id) for id in ids]}, follow=True)


def test_the_list_tells_who_what_where_and_since_when(console: Client, viewer: Any) -> None:
    browser_of(viewer, HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="203.0.113.7")
    page = console.get(f"{SESSIONS}?q=viewer%40acme").content.decode()
    assert "Firefox on Linux" in page
    assert "203.0.113.7" in page
    assert [row.user for row in listed(console, f"{SESSIONS}?q=viewer%40acme")] == [viewer]
    assert listed(console, f"{SESSIONS}?q=nobody") == []


def test_s3_neither_a_key_nor_its_hash_is_on_the_page(console: Client, viewer: Any) -> None:
    browser_of(viewer)
    page = console.get(SESSIONS).content.decode()
    hashes = list(Session.objects.values_list("key_hash", flat=True))
    assert len(hashes) == 2
    assert not any(hashed in page for hashed in hashes)


def test_an_ended_session_is_nobodys_and_its_sockets_close(
    console: Client, operator: User, viewer: Any, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Any] = []
    monkeypatch.setattr(live, "disconnect", closed.append)
    theirs, others = browser_of(viewer), browser_of(owner)
    end(console, SESSIONS, Session.objects.get(user=viewer).id)
    assert not is_signed_in(theirs)
    assert is_signed_in(others)
    assert closed == [viewer.pk]
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (operator, str(viewer.pk))
    assert "Session ended" in entry.change_message


def test_a_browser_that_nobody_signed_in_with_is_not_listed(console: Client, client: Client) -> None:
    client.get("/accounts/login/")
    assert [row.user.email for row in listed(console, SESSIONS)] == ["operator@modelyard.test"]


def test_a_program_is_signed_out_by_its_list(console: Client, owner: Any, acme: Any) -> None:
    caller = program(signed_in(owner)["access"])
    assert caller.get("/api/v1/me/").status_code == 200
    family = RefreshFamily.objects.get(user=owner)
    end(console, PROGRAMS, family.pk)
    assert caller.get("/api/v1/me/").status_code == 401
    family.refresh_from_db()
    assert family.revoked_because == "ended_by_operator"
    assert list(families.families_of(owner)) == []
    assert LogEntry.objects.filter(object_id=str(owner.pk)).count() == 1


def test_a_look_as_somebody_is_ended_by_its_list_and_stands_in_the_trail(
    console: Client, acme: Any, viewer: Any
) -> None:
    with tenancy.scope(acme.pk):
        membership = Membership.objects.get(user=viewer)
    body = {"action": "act_as", "_selected_action": str(membership.pk), "reason": "a call for help"}
    console.post("/admin/organizations/membership/", body)
    assert console.get("/o/acme/").status_code == 200
    (session,) = listed(console, ACTING)
    end(console, ACTING, session.pk)
    assert console.get("/o/acme/").status_code == 403
    with tenancy.scope(acme.pk):
        assert ActingSession.objects.get().ended_at is not None
        entry = AuditEntry.objects.get(action="acting.ended")
    assert (entry.actor_label, entry.operator_label) == ("viewer@acme.test", "operator operator@modelyard.test")


@pytest.mark.parametrize("path", [SESSIONS, PROGRAMS, ACTING])
def test_nobody_else_lists_or_ends_sessions(path: str, as_owner: Client, client: Client) -> None:
    before = set(Session.objects.values_list("id", flat=True))
    for browser in (as_owner, client):
        assert browser.get(path)["Location"].startswith("/admin/login/")
        assert end(browser, path, *before).redirect_chain[0][1] == 302
    assert before <= set(Session.objects.values_list("id", flat=True))


def queries_of(console: Client, path: str) -> int:
    with CaptureQueriesContext(connections["console"]) as counted, CaptureQueriesContext(connections["default"]) as own:
        assert console.get(path).status_code == 200
    return len(counted) + len(own)


def test_thirty_sessions_cost_the_queries_of_one(console: Client, operator: User, viewer: Any) -> None:
    browser_of(viewer)
    console.get(SESSIONS)
    few = queries_of(console, SESSIONS)
    for _ in range(30):
        browser_of(viewer)
    assert queries_of(console, SESSIONS) == few


def test_an_operator_may_end_every_session_of_a_person_at_once(console: Client, viewer: Any) -> None:
    browsers = [browser_of(viewer) for _ in range(3)]
    rows = listed(console, f"{SESSIONS}?q={viewer.email}")
    end(console, SESSIONS, *[row.id for row in rows])
    assert not any(is_signed_in(browser) for browser in browsers)
