"""One refusal in the language of whoever is told."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from apps.organizations import queries

pytestmark = pytest.mark.django_db


@pytest.fixture
def lost_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*args: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(queries, "membership_in", lose)
    monkeypatch.setattr(queries, "token_for", lose)


def test_p5_a_lost_database_is_a_503_that_says_when_to_try_again(
    as_owner: Any, api_owner: Any, lost_database: None
) -> None:
    as_owner.raise_request_exception = api_owner.raise_request_exception = False
    answer = api_owner.get("/api/v1/jobs/")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "database_unavailable", "5")
    page = as_owner.get("/o/acme/jobs/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "try again in a moment" in page.content.decode()


def test_a_crash_tells_the_request_id_and_nothing_else(as_owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*args: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(queries, "membership_in", crash)
    as_owner.raise_request_exception = False
    page = as_owner.get("/o/acme/jobs/")
    assert page.status_code == 500
    assert page["X-Request-Id"] in page.content.decode()
    assert "a secret detail" not in page.content.decode()


def test_a_fragment_is_told_as_a_toast(as_viewer: Any) -> None:
    answer = as_viewer.post("/o/acme/settings/", {"name": "x"}, headers={"HX-Request": "true"})
    assert answer.status_code == 403
    assert answer["HX-Reswap"] == "none"
    assert "organization.write" in answer["HX-Trigger"]


def test_an_expired_session_sends_the_whole_page_to_the_login(client: Any, acme: Any) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/o/acme/jobs/?status=failed"}
    answer = client.get("/o/acme/jobs/", headers=headers)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/accounts/login/?next=/o/acme/jobs/%3Fstatus%3Dfailed"
    answer = client.get("/o/acme/jobs/", headers={**headers, "HX-Current-URL": "https://evil.test/x"})
    assert answer["HX-Redirect"] == "/accounts/login/?next=/"


def test_s9_a_form_from_elsewhere_is_refused_in_our_words(acme: Any, db: None) -> None:
    browser = Client(enforce_csrf_checks=True)
    page = browser.post("/accounts/login/", {})
    assert (page.status_code, b"out of date" in page.content) == (403, True)
    toast = browser.post("/accounts/login/", {}, headers={"HX-Request": "true"})
    assert (toast.status_code, "out of date" in toast["HX-Trigger"]) == (403, True)


@pytest.mark.parametrize("address", ["data/?q=%00", "jobs/?kind=a%00", "models/?q=%00", "trail/?action=%00"])
def test_a_filter_that_the_database_cannot_hold_is_refused(as_owner: Any, address: str) -> None:
    as_owner.raise_request_exception = False
    assert as_owner.get(f"/o/acme/{address}").status_code == 400


def test_a_refusal_inside_an_organization_keeps_its_frame_and_the_way_back(as_owner: Any) -> None:
    before = "http://testserver/o/acme/settings/"
    page = as_owner.post("/o/acme/settings/leave/", headers={"Referer": before})
    text = page.content.decode()
    assert page.status_code == 409
    assert 'id="sidebar"' in text
    assert f'href="{before}"' in text
    assert "evil.test" not in as_owner.get("/o/acme/x/", headers={"Referer": "http://evil.test/"}).content.decode()


def test_a_refusal_from_us_needs_nothing_of_the_shell(as_owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*args: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("apps.jobs.queries.dead_count", crash)
    as_owner.raise_request_exception = False
    page = as_owner.get("/o/acme/jobs/")
    assert (page.status_code, "sidebar" in page.content.decode()) == (503, False)


def test_a_permission_is_told_as_code_on_a_page_and_plainly_in_a_toast(as_viewer: Any) -> None:
    page = as_viewer.get("/o/acme/trail/").content.decode()
    assert "needs the permission <code>audit.read</code>." in page
    toast = as_viewer.get("/o/acme/trail/", headers={"HX-Request": "true"})["HX-Trigger"]
    assert "needs the permission audit.read." in toast


def test_a_token_is_told_which_scope_it_lacks(api_viewer: Any) -> None:
    refused = api_viewer.post("/api/v1/projects/", {"name": "Churn"}).json()
    assert refused["code"] == "permission_missing"
    assert "scope `projects.write`" in refused["detail"]
    assert "Ask an owner" not in refused["detail"]


def test_whoever_is_no_operator_is_not_sent_to_an_owner(as_viewer: Any) -> None:
    page = as_viewer.get("/admin/", follow=True)
    assert page.status_code == 403
    assert "owner of the organization" not in page.content.decode()


def test_a_fragment_leaves_the_toasts_to_the_next_page(as_owner: Any, in_acme: Any) -> None:
    as_owner.post("/o/acme/settings/", {"name": "Acme Ltd", "slug": "acme", "time_zone": "UTC"})
    assert "Saved." not in as_owner.get("/o/acme/settings/members/", headers={"HX-Request": "true"}).content.decode()
    assert "Saved." in as_owner.get("/o/acme/settings/").content.decode()
