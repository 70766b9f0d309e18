"""What the palette finds, for whom, and at what price."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.console.palette import objects
from apps.console.palette.places import ACTIONS, HELP, PAGES
from apps.console.palette.queries import Visitor, suggestions
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.templatetags.navigation import GROUPS
from apps.datasets.models import Dataset
from apps.jobs.models import Job
from apps.organizations import services
from apps.organizations.enums import Role
from apps.organizations.models import Membership, Project
from apps.organizations.permissions import ROLE_PERMISSIONS, TABLE
from tests.factories import world
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


class Answer(HTMLParser):
    """The options by group: (text, address) of each."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.document = document
        self.groups: dict[str, list[tuple[str, str]]] = {}
        self.keys: list[str] = []
        self._heading: str | None = None
        self._label: str | None = None
        self._href = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("class") == "palette-heading":
            self._heading = ""
        if given.get("role") == "option":
            self._href = given.get("href") or ""
            self.keys.append(given.get("data-key") or "")
        if given.get("class") == "palette-label":
            self._label = ""

    def handle_data(self, data: str) -> None:
        if self._label is not None:
            self._label += data
        elif self._heading is not None:
            self._heading += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "span" and self._label is not None:
            self.groups[list(self.groups)[-1]].append((self._label, self._href))
            self._label = None
        elif tag == "div" and self._heading is not None:
            self.groups[self._heading] = []
            self._heading = None

    def labels(self, group: str) -> list[str]:
        return [label for label, _ in self.groups.get(group, [])]

    @property
    def addresses(self) -> set[str]:
        return {href for options in self.groups.values() for _, href in options}


def ask(client: Client, query: str = "", recent: str = "", slug: str = "acme") -> Answer:
    answer = client.get(f"/o/{slug}/palette/", {"q": query, "recent": recent}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "HX-Request" in answer["Vary"]
    return Answer(answer.content.decode())


@pytest.fixture
def acme_world(acme: Any, actor: Actor) -> dict[str, Any]:
    return world.build(acme, actor, "walnut")


def test_every_kind_of_row_is_found_by_its_name(acme_world: Any, as_owner: Client) -> None:
    found = ask(as_owner, "walnut")

    assert {heading: found.labels(heading) for heading in found.groups} == {
        "Datasets": ["walnut-data"],
        "Training runs": ["walnut-run"],
        "Models": ["walnut-model"],
        "Deployments": ["walnut-endpoint"],
        "Projects": ["walnut-project"],
        "Limits": ["walnut-policy"],
        "Routes": ["walnut-route"],
        "Upstreams": ["walnut-upstream"],
        "Jobs": ["After walnut-run", "Read walnut-data version 1", "Train walnut-run"],
    }
    for name in ("dataset_id", "run_id", "model_id", "deployment_id", "project_id", "job_id"):
        assert any(str(acme_world[name].pk) in address for address in found.addresses), name
    for address in found.addresses:
        assert as_owner.get(address).status_code == 200, address


def test_people_are_found_by_name_and_by_address(acme: Any, as_owner: Client, developer: Any) -> None:
    developer.name = "Grace Hopper"
    developer.save()

    assert ask(as_owner, "hopp").labels("Members") == ["Grace Hopper"]
    assert ask(as_owner, "developer@").labels("Members") == ["Grace Hopper"]
    assert ask(as_owner, "viewer").labels("Members") == ["viewer@acme.test"]


def test_s1_another_organization_finds_nothing_of_it(acme_world: Any, as_outsider: Client) -> None:
    found = ask(as_outsider, "walnut", slug="globex")
    keys = " ".join(f"{kind}:{acme_world[name].pk}" for kind, name in (("dataset", "dataset_id"), ("job", "job_id")))

    assert found.groups == {}
    assert "owner@acme.test" not in ask(as_outsider, "owner", slug="globex").document
    assert "Recent" not in ask(as_outsider, recent=keys, slug="globex").groups
    assert as_outsider.get("/o/acme/palette/", {"q": "walnut"}).status_code == 404


@pytest.mark.parametrize("role", [Role.ANALYST, Role.BILLING])
def test_s2_each_role_finds_what_it_may_read_and_no_action_it_may_not_do(role: str, acme: Any, acme_world: Any) -> None:
    person: Any = UserFactory(email="reader@acme.test")
    with tenancy.scope(acme.pk):
        Membership.objects.create(user=person, role=role)
    client = Client()
    client.force_login(person)

    found = ask(client, "walnut")
    assert set(found.groups) == {kind.heading for kind in objects.KINDS if role in TABLE[kind.permission]} - {"Members"}
    offered = set(ask(client).labels("Actions"))
    refused = {place.label for place in ACTIONS if place.permission and role not in TABLE[place.permission]}
    assert refused
    assert offered & refused == set()


def test_an_operator_who_looks_as_somebody_is_offered_nothing_to_do(acme: Any, actor: Actor) -> None:
    looking = replace(actor, permissions=frozenset(p for p in ROLE_PERMISSIONS[Role.OWNER] if p.endswith(".read")))
    with tenancy.scope(acme.pk):
        groups = suggestions(Visitor(acme, looking, []), [])
    offered = {hit.option.label for group in groups if group.heading == "Actions" for hit in group.hits}

    assert offered == {
        "Create an organization",
        "Use the light theme",
        "Use the dark theme",
        "Use the system's theme",
        "Keyboard shortcuts",
        "Log out",
    }


def test_every_place_is_found_by_its_label_and_opens(acme: Any, as_owner: Client) -> None:
    for place in (*PAGES, *ACTIONS, *HELP):
        url = place.option(acme).url
        assert url in ask(as_owner, place.label).addresses, place
        assert as_owner.get(url.partition("#")[0], follow=True).status_code == 200, place


def test_every_tab_of_the_settings_and_entry_of_the_navigation_is_a_page_of_it(as_owner: Client) -> None:
    page = as_owner.get("/o/acme/settings/").content.decode()
    tabs = re.findall(r'class="tab" href="([^"]+)"', page)
    found = {place.url_name for place in PAGES}

    assert len(tabs) > 4
    for tab in tabs:
        assert as_owner.get(tab).resolver_match.view_name in found, tab
    assert {entry.url_name for group in GROUPS for entry in group} <= found


def test_the_best_name_comes_first_and_pages_before_rows(acme: Any, actor: Actor, as_owner: Client) -> None:
    with tenancy.scope(acme.pk):
        for name in ("jobs", "jobs of may", "old jobs"):
            Dataset.objects.create(name=name)

    found = ask(as_owner, "jobs")

    assert list(found.groups)[:2] == ["Pages", "Datasets"]
    assert found.labels("Datasets") == ["jobs", "jobs of may", "old jobs"]


def test_one_kind_never_crowds_out_the_others(acme: Any, as_owner: Client) -> None:
    with tenancy.scope(acme.pk):
        Dataset.objects.bulk_create(Dataset(name=f"usage {number}") for number in range(20))

    found = ask(as_owner, "usage")

    assert len(found.labels("Datasets")) == 5
    assert "Usage" in found.labels("Pages")


def test_what_was_typed_is_marked_and_names_are_text(acme: Any, as_owner: Client) -> None:
    with tenancy.scope(acme.pk):
        Dataset.objects.create(name="<img src=x> churn")

    found = ask(as_owner, "chu")

    assert found.labels("Datasets") == ["<img src=x> churn"]
    assert "&lt;img src=x&gt; <mark>chu</mark>rn" in found.document


def test_any_text_is_a_question(acme_world: Any, as_owner: Client) -> None:
    for query in ("'; drop", "%", "%5C", "%F0%9F%99%82", "%F4%8F%BF%BF", "%ED%A0%80", "%FF", "e" * 200):
        assert as_owner.get(f"/o/acme/palette/?q={query}&recent={query}").status_code == 200, query


def test_nothing_found_says_what_is_looked_for(as_owner: Client) -> None:
    found = ask(as_owner, "<zzz>")

    assert found.groups == {}
    assert "&lt;zzz&gt;" in found.document


def test_what_was_chosen_last_is_offered_first_under_its_name_of_today(
    acme: Any, acme_world: Any, actor: Actor, as_owner: Client, as_viewer: Client
) -> None:
    dataset = acme_world["dataset_id"]
    gone = f"dataset:nonsense job:{dataset.pk} gone:1"
    keys = f"dataset:{dataset.pk} page:organizations:token-list {gone} page:jobs:job-list"
    with tenancy.scope(acme.pk):
        Dataset.objects.filter(pk=dataset.pk).update(name="renamed")

    assert next(iter(ask(as_owner, recent=keys).groups)) == "Recent"
    assert ask(as_owner, recent=keys).labels("Recent") == ["renamed", "API tokens", "Jobs"]
    assert ask(as_viewer, recent=keys).labels("Recent") == ["renamed", "Jobs"]
    assert "Recent" not in ask(as_owner).groups


def test_the_keys_of_what_it_answers_lead_back_to_the_same(acme_world: Any, as_owner: Client) -> None:
    found = ask(as_owner, "walnut-data")

    assert ask(as_owner, recent=found.keys[0]).groups["Recent"] == found.groups["Datasets"]


def test_other_organizations_of_the_person_can_be_switched_to(
    acme: Any, globex: Any, owner: Any, as_owner: Client
) -> None:
    assert "Switch to Globex" not in ask(as_owner, "globex").labels("Actions")
    with tenancy.scope(globex.pk):
        Membership.objects.create(user=owner, role="analyst")

    assert ask(as_owner, "switch").groups["Actions"] == [("Switch to Globex", "/o/globex/")]


def test_a_suspended_organization_says_so(acme: Any, actor: Actor, as_owner: Client) -> None:
    with tenancy.scope(acme.pk):
        services.suspend_organization(acme, "unpaid", by=actor)

    answer = as_owner.get("/o/acme/palette/", {"q": "jobs"}, headers={"HX-Request": "true"})

    assert answer.status_code == 403
    assert "suspended" in answer["HX-Trigger"]


def test_it_costs_the_same_number_of_queries_with_1_and_with_3_rows(acme: Any, as_owner: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as seen:
            ask(as_owner, "churn")
        return len(seen)

    with tenancy.scope(acme.pk):
        Dataset.objects.create(name="churn 1")
    cost()
    first = cost()
    with tenancy.scope(acme.pk):
        for number in (2, 3):
            Dataset.objects.create(name=f"churn {number}")
            Project.objects.create(name=f"churn {number}")
            Job.objects.create(kind="training.run", queue="training", label=f"churn {number}", status="failed")
    assert cost() == first
