"""The trail's page, an entry's page, exports and the API: the same filters, and nothing secret."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch

from apps.audit import queries, services
from apps.audit.models import AuditEntry
from apps.core import http, tenancy
from apps.core.actors import Actor
from apps.organizations import services as organizations
from tests.factories import world

pytestmark = pytest.mark.django_db

TRAIL = "/o/acme/trail/"


def content(response: Any) -> str:
    return response.getvalue().decode() if response.streaming else response.content.decode()


def exported(client: Client, query: str = "") -> list[dict[str, str]]:
    """The rows of a file, without what earlier exports left in the trail."""
    rows = csv.DictReader(io.StringIO(content(client.get(f"{TRAIL}export/?{query}"))))
    return [row for row in rows if row["action"] != "audit.exported"]


@pytest.fixture
def told(in_acme: Any, actor: Actor, developer: Any) -> dict[str, AuditEntry]:
    other = Actor("user", developer.pk, developer.email, address="203.0.113.9", request_id="req_other")
    churn = organizations.create_project("churn", by=actor)
    entries = {
        "mine": AuditEntry.objects.get(subject_id=churn.pk),
        "theirs": services.record(other, "project.updated", churn, {"name": ["churn", "leaving"]}),
    }
    return {**entries, "founding": AuditEntry.objects.get(action="organization.created")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("actor_id", lambda entry: entry.actor_id),
        ("action", lambda entry: entry.action),
        ("address", lambda entry: entry.address),
        ("request_id", lambda entry: entry.request_id),
        ("q", lambda entry: entry.actor_label.upper()),
    ],
)
def test_page_export_and_api_narrow_the_trail_alike(
    told: dict[str, AuditEntry], as_owner: Client, api_owner: Any, name: str, value: Any
) -> None:
    wanted = f"{name}={value(told['theirs'])}"
    page = content(as_owner.get(f"{TRAIL}?{wanted}"))
    assert str(told["theirs"].pk) in page
    assert str(told["mine"].pk) not in page
    only = [str(told["theirs"].pk)]
    assert [row["id"] for row in exported(as_owner, wanted)] == only
    assert [row["id"] for row in api_owner.get(f"/api/v1/audit/?{wanted}").json()["results"]] == only
    lines = content(api_owner.get(f"/api/v1/audit/export/?as=jsonl&{wanted}")).splitlines()
    assert [json.loads(line)["id"] for line in lines] == only


def test_a_kind_of_subject_and_a_time_narrow_it_too(told: dict[str, AuditEntry], as_owner: Client) -> None:
    assert {row["subject_type"] for row in exported(as_owner, "subject_type=project")} == {"project"}
    edge = told["theirs"].created_at.isoformat().replace("+00:00", "Z")
    assert str(told["theirs"].pk) not in {row["id"] for row in exported(as_owner, f"before={edge}")}
    assert [row["id"] for row in exported(as_owner, f"after={edge}")] == [str(told["theirs"].pk)]
    assert len(exported(as_owner, "range=1h")) == 3


@pytest.mark.parametrize("query", ["actor_id=x", "after=yesterday", "q=" + "x" * 101])
def test_a_filter_that_cannot_be_understood_finds_nothing(told: Any, as_owner: Client, query: str) -> None:
    assert "Nothing matches these filters" in content(as_owner.get(f"{TRAIL}?{query}"))
    assert exported(as_owner, query) == []


def test_what_can_be_chosen_stands_there_with_its_count(told: Any, as_owner: Client) -> None:
    choices = queries.choices(AuditEntry.objects.all())
    assert [(area, [text for _, text in actions]) for area, actions in choices.actions] == [
        ("Organization", ["organization.created (1)"]),
        ("Project", ["project.created (1)", "project.updated (1)"]),
    ]
    assert [text for _, text in choices.actors] == ["owner@acme.test (2)", "developer@acme.test (1)"]
    page = content(as_owner.get(TRAIL))
    assert '<optgroup label="Project">' in page


def test_a_choice_that_no_entry_has_stays_chosen(told: Any, as_owner: Client) -> None:
    assert '<option value="rare.thing" selected>' in content(as_owner.get(f"{TRAIL}?action=rare.thing"))


def test_a_secret_in_the_changes_is_masked(in_acme: Any, actor: Actor, as_owner: Client) -> None:
    text = f"my_{'0' * 64}.s3cret-part"
    changes = {"password": "hunter2", "url": ["https://a:hunter2@b.test", text], "deep": {"api_key": "hunter2"}}
    entry = services.record(actor, "webhook.changed", in_acme, changes)
    entry.refresh_from_db()
    assert entry.changes["password"] == entry.changes["deep"]["api_key"] == "***"
    for address in (TRAIL, f"{TRAIL}{entry.pk}/", f"{TRAIL}export/", f"{TRAIL}export/?as=jsonl"):
        shown = content(as_owner.get(address))
        assert "hunter2" not in shown
        assert "s3cret-part" not in shown


def test_both_names_stand_in_the_trail_while_an_operator_acts_as_a_person(
    in_acme: Any, actor: Actor, as_owner: Client, api_owner: Any
) -> None:
    acting = replace(actor, operator_id=uuid4(), operator_label="operator@modelyard.test")
    entry = services.record(acting, "organization.seen", in_acme)
    for address in (TRAIL, f"{TRAIL}{entry.pk}/"):
        shown = content(as_owner.get(address))
        assert "owner@acme.test" in shown
        assert "operator@modelyard.test" in shown
    answer = api_owner.get(f"/api/v1/audit/?operator_id={acting.operator_id}").json()["results"]
    assert [(row["actor_label"], row["operator_label"]) for row in answer] == [
        ("owner@acme.test", "operator@modelyard.test")
    ]


def test_an_entry_shows_each_change_before_and_after(told: dict[str, AuditEntry], as_owner: Client) -> None:
    page = content(as_owner.get(f"{TRAIL}{told['theirs'].pk}/"))
    assert "<del>churn</del>" in page


def test_a_subject_leads_to_its_page_while_it_exists(
    told: dict[str, AuditEntry], as_owner: Client, actor: Actor
) -> None:
    page = content(as_owner.get(f"{TRAIL}{told['mine'].pk}/"))
    assert f'href="/o/acme/settings/projects/{told["mine"].subject_id}/"' in page
    subject = organizations.create_project("soon gone", by=actor)
    entry = AuditEntry.objects.get(subject_id=subject.pk)
    gone = f"/o/acme/settings/projects/{subject.pk}/"
    organizations.delete_project(subject, by=actor)
    assert gone not in content(as_owner.get(f"{TRAIL}{entry.pk}/"))


def test_every_kind_of_subject_in_the_trail_has_a_page_that_opens(acme: Any, actor: Actor, as_owner: Client) -> None:
    rows = world.build(acme, actor)
    with tenancy.scope(acme.pk):
        for entry in AuditEntry.objects.all():
            assert entry.subject_type in queries.PAGES, entry.subject_type
        for row in {type(row): row for row in rows.values()}.values():
            entry = services.record(actor, "row.seen", row)
            if row._meta.model_name not in queries.PAGES:
                continue
            assert as_owner.get(queries.subject_url(entry, acme)).status_code == 200, row


def test_every_page_of_a_subject_has_an_address(acme: Any) -> None:
    for page in queries.PAGES.values():
        try:
            http.link(acme, page.url_name, *([uuid4()] if page.is_own else []))
        except NoReverseMatch:
            pytest.fail(page.url_name)


def test_s5_an_export_is_safe_to_open_in_a_spreadsheet(in_acme: Any, actor: Actor, as_owner: Client) -> None:
    organizations.create_project('=HYPERLINK("http://evil.test")', by=actor)
    labels = [row["subject_label"] for row in exported(as_owner)]
    assert '\'=HYPERLINK("http://evil.test")' in labels


def test_an_export_in_an_unknown_format_is_refused(as_owner: Client, api_owner: Any) -> None:
    assert as_owner.get(f"{TRAIL}export/?as=exe").status_code == 404
    assert api_owner.get("/api/v1/audit/export/?as=exe").status_code == 422


def test_only_who_may_read_the_trail_exports_it(as_developer: Client, api_developer: Any) -> None:
    assert as_developer.get(f"{TRAIL}export/").status_code == 403
    assert api_developer.get("/api/v1/audit/export/").status_code == 403


def test_s1_the_trail_of_another_organization_stays_hidden(
    told: dict[str, AuditEntry], as_outsider: Client, api_outsider: Any
) -> None:
    entry = told["mine"]
    assert as_outsider.get(f"/o/globex/trail/{entry.pk}/").status_code == 404
    assert api_outsider.get(f"/api/v1/audit/{entry.pk}/").status_code == 404
    assert api_outsider.get(f"/api/v1/audit/?actor_id={entry.actor_id}").json()["results"] == []
    assert "churn" not in content(api_outsider.get("/api/v1/audit/export/"))


def test_the_page_costs_the_same_queries_for_one_entry_and_for_many(
    in_acme: Any, actor: Actor, as_owner: Client, django_assert_num_queries: Any
) -> None:
    as_owner.get(TRAIL)  # the first page of a session writes what the others find
    with CaptureQueriesContext(connection) as one:
        as_owner.get(TRAIL)
    for number in range(60):
        organizations.create_project(f"project {number}", by=actor)
    with django_assert_num_queries(len(one)):
        page = content(as_owner.get(TRAIL))
    assert 'rel="next"' in page


def test_the_address_of_a_filter_means_the_same_to_everybody(as_owner: Client, acme: Any) -> None:
    type(acme).objects.filter(pk=acme.pk).update(time_zone="Asia/Tokyo")
    answer = as_owner.get(f"{TRAIL}?q=&action=job.retried&range=24h&after=2026-11-23T09:30&before=")
    assert answer.status_code == 302
    assert answer["Location"] == "?action=job.retried&after=2026-11-23T00%3A30%3A00Z"
    page = content(as_owner.get(TRAIL + answer["Location"]))
    assert 'value="2026-11-23T09:30:00"' in page
    assert "2026-11-23 09:30:00 UTC+09:00" in page


def test_each_filter_that_is_on_is_taken_away_by_a_link(told: dict[str, AuditEntry], as_owner: Client) -> None:
    entry = told["theirs"]
    page = content(as_owner.get(f"{TRAIL}?actor_id={entry.actor_id}&subject_id={entry.subject_id}&range=24h"))
    assert f'href="?actor_id={entry.actor_id}&amp;subject_id={entry.subject_id}"' in page
    for words in ("Time: Last 24 hours", "Who: developer@acme.test", "Subject: churn"):
        assert f"Take away {words}" in page
    assert '<span class="disclosure-count">3<' in page
    assert f'<input type="hidden" name="subject_id" value="{entry.subject_id}">' in page


def test_where_nothing_is_found_the_page_says_which_filter_to_drop(told: Any, as_owner: Client) -> None:
    page = content(as_owner.get(f"{TRAIL}?action=project.updated&address=192.0.2.77&range=24h"))
    assert "Nothing matches these filters" in page
    assert "Drop “Address: 192.0.2.77”" in page
    assert "Drop “Action" not in page
    both = content(as_owner.get(f"{TRAIL}?action=no.such&address=192.0.2.77"))
    assert "No single one of them is to blame." in both


def test_a_text_too_short_to_search_is_told_beside_its_field(as_owner: Client) -> None:
    page = content(as_owner.get(f"{TRAIL}?q=ab"))
    assert 'id="id_q_error"' in page
    assert '<details class="disclosure" open>' in page


def test_the_page_counts_what_came_since_it_was_drawn(
    told: dict[str, AuditEntry], as_owner: Client, actor: Actor
) -> None:
    news = f"{TRAIL}news/?since={max(AuditEntry.objects.values_list('pk', flat=True))}&action=project.created"
    assert content(as_owner.get(news)).strip() == ""
    for number in range(3):
        organizations.create_project(f"project {number}", by=actor)
    line = content(as_owner.get(news))
    assert "3 new" in line
    assert 'href="/o/acme/trail/?action=project.created"' in line
    assert as_owner.get(f"{TRAIL}news/").status_code == 404


def test_two_values_of_something_created_are_no_change(in_acme: Any, actor: Actor) -> None:
    values = {"scopes": ["datasets.read", "jobs.read"]}
    assert services.record(actor, "token.created", in_acme, values).told_changes == [
        ("scopes", "datasets.read, jobs.read")
    ]
    changed = services.record(actor, "member.role_changed", in_acme, {"role": ["analyst", "owner"]})
    assert changed.compared_changes == [("role", "analyst", "owner")]


def test_an_entry_leads_to_its_request_actor_subject_and_job(acme: Any, actor: Actor, as_owner: Client) -> None:
    rows = world.build(acme, actor)
    with tenancy.scope(acme.pk):
        job = rows["job_id"]
        type(job).objects.filter(pk=job.pk).update(request_id="req_started")
        entry = services.record(replace(actor, request_id="req_started"), "job.retried", job)
    page = content(as_owner.get(f"{TRAIL}{entry.pk}/"))
    for query in (f"request_id={entry.request_id}", f"actor_id={entry.actor_id}", f"subject_id={entry.subject_id}"):
        assert f'href="{TRAIL}?{query}"' in page
    assert page.count(f'href="/o/acme/jobs/{job.pk}/"') == 2
