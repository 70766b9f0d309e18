"""Feature flags: who has a feature, how soon every process knows, and that all faces obey."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.db.models.signals import post_migrate
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.console import services as console_services
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.operators import OperatorNeeded
from apps.datasets.models import Dataset
from apps.organizations import flags
from apps.organizations.flags import deciding, errors, lookup, services
from apps.organizations.flags.known import KNOWN
from apps.organizations.models import FeatureFlag, FlagChoice
from tests.factories.tables import plants_csv

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

FETCH = "datasets.fetch"
LIST = "/admin/organizations/featureflag/"


@pytest.fixture(autouse=True)
def known_flags(db: None) -> None:
    services.declare_flags()
    lookup.forget()


@pytest.fixture
def person(db: None) -> User:
    return User.objects.create_superuser("operator@modelyard.test", "a-password")


@pytest.fixture
def operator(person: User) -> Actor:
    return Actor("operator", person.pk, "operator operator@modelyard.test", user_id=person.pk)


@pytest.fixture
def console(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def switch(organization: Any, is_on: bool | None, by: Actor, name: str = FETCH) -> None:
    with tenancy.scope(organization.pk):
        services.choose_flag(name, organization, is_on, by=by)


def share(percentage: int, by: Actor, name: str = FETCH) -> None:
    services.set_flag(FeatureFlag.objects.get(pk=name), percentage, by=by)


class TestDeciding:
    @given(st.uuids(), st.integers(0, 100), st.integers(0, 100))
    def test_a_larger_share_takes_nobody_out(self, organization_id: UUID, one: int, other: int) -> None:
        small, large = sorted((one, other))
        if deciding.is_within(small, FETCH, organization_id):
            assert deciding.is_within(large, FETCH, organization_id)

    @given(st.uuids())
    def test_nobody_is_in_no_share_and_everybody_in_the_whole(self, organization_id: UUID) -> None:
        assert not deciding.is_within(0, FETCH, organization_id)
        assert deciding.is_within(100, FETCH, organization_id)

    def test_a_share_is_about_that_many_and_not_the_same_ones_for_each_flag(self) -> None:
        ids = [UUID(int=number) for number in range(10_000)]
        first = {one for one in ids if deciding.is_within(30, "first", one)}
        second = {one for one in ids if deciding.is_within(30, "second", one)}
        assert len(first) == pytest.approx(3000, abs=200)
        assert len(first & second) == pytest.approx(900, abs=150)

    def test_the_place_of_an_organization_never_moves(self) -> None:
        assert deciding.part_of("datasets.fetch", UUID(int=1)) == 56


class TestLookup:
    def test_the_code_decides_until_an_operator_does(self, acme: Any, operator: Actor) -> None:
        assert flags.is_on(FETCH, acme.pk)
        share(0, operator)
        assert not flags.is_on(FETCH, acme.pk)

    def test_a_choice_holds_against_the_share_and_for_one_only(self, acme: Any, globex: Any, operator: Actor) -> None:
        switch(acme, False, operator)
        assert not flags.is_on(FETCH, acme.pk)
        assert flags.is_on(FETCH, globex.pk)
        share(0, operator)
        switch(acme, True, operator)
        assert flags.is_on(FETCH, acme.pk)
        assert not flags.is_on(FETCH, globex.pk)
        switch(acme, None, operator)
        assert not flags.is_on(FETCH, acme.pk)

    def test_a_flag_that_the_code_does_not_declare_is_a_mistake(self, acme: Any) -> None:
        with pytest.raises(errors.UnknownFlag):
            flags.is_on("datasets.teleport", acme.pk)

    def test_without_a_row_the_code_decides(self, acme: Any) -> None:
        FeatureFlag.objects.all().delete()
        lookup.forget()
        assert flags.is_on(FETCH, acme.pk)

    def test_the_second_question_costs_no_query(self, acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lookup, "KEPT_S", 10**12)
        flags.is_on(FETCH, acme.pk)
        with CaptureQueriesContext(connection) as asked:
            assert flags.is_on(FETCH, acme.pk)
            assert flags.is_on("console.sample", acme.pk)
        assert len(asked) == 0

    def test_what_is_kept_is_bounded(self) -> None:
        assert lookup._kept.cache_info().maxsize == lookup.MOST_ORGANIZATIONS

    def test_a_change_in_another_process_is_known_at_once(
        self, acme: Any, person: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lookup, "KEPT_S", 10**12)
        assert flags.is_on(FETCH, acme.pk)
        code = (
            "import django; django.setup()\n"
            "from apps.core.actors import Actor\n"
            "from apps.organizations.flags import services\n"
            "from apps.organizations.models import FeatureFlag\n"
            f"by = Actor('operator', None, 'operator', user_id='{person.pk}')\n"
            f"services.set_flag(FeatureFlag.objects.get(pk='{FETCH}'), 0, by=by)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        assert not flags.is_on(FETCH, acme.pk)

    def test_an_answer_that_a_change_overtook_is_not_kept(
        self, acme: Any, operator: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decide = lookup._features

        def slowly(organization_id: UUID) -> frozenset[str]:
            found = decide(organization_id)
            monkeypatch.setattr(lookup, "_features", decide)
            share(0, operator)  # somebody switches between the reading and the keeping
            return found

        monkeypatch.setattr(lookup, "_features", slowly)
        assert flags.is_on(FETCH, acme.pk)
        assert not flags.is_on(FETCH, acme.pk)

    def test_without_redis_each_question_is_decided_anew(
        self, acme: Any, operator: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = redis.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.2)
        monkeypatch.setattr(lookup, "_client", lambda: away)
        assert flags.is_on(FETCH, acme.pk)
        share(0, operator)
        assert not flags.is_on(FETCH, acme.pk)

    def test_a_redis_that_forgot_everything_brings_no_old_answer_back(self, acme: Any, operator: Actor) -> None:
        assert flags.is_on(FETCH, acme.pk)
        lookup._client().delete(lookup.KEY)
        FeatureFlag.objects.filter(pk=FETCH).update(percentage=0)
        assert not flags.is_on(FETCH, acme.pk)


class TestServices:
    def test_a_switch_for_everybody_stands_in_the_consoles_history(self, operator: Actor, person: User) -> None:
        share(25, operator)
        share(25, operator)  # once more changes nothing
        entry = LogEntry.objects.get()
        assert (entry.user, entry.object_id) == (person, FETCH)
        assert entry.change_message == "From 100 % to 25 % of the organizations"
        assert FeatureFlag.objects.get(pk=FETCH).changed_by_label == operator.label

    def test_a_switch_for_one_stands_in_its_own_trail(self, acme: Any, globex: Any, operator: Actor) -> None:
        switch(acme, False, operator)
        switch(acme, False, operator)
        with tenancy.scope(acme.pk):
            entry = AuditEntry.objects.get(action="organization.feature_switched")
        assert entry.actor_kind == "operator"
        assert entry.changes == {"Datasets from a URL": ["as everybody", "off"]}
        with tenancy.scope(globex.pk):
            assert not AuditEntry.objects.filter(action="organization.feature_switched").exists()
            assert not FlagChoice.objects.exists()

    @pytest.mark.parametrize("percentage", [-1, 101])
    def test_a_share_is_from_0_to_100(self, operator: Actor, percentage: int) -> None:
        with pytest.raises(errors.WrongPercentage):
            share(percentage, operator)

    def test_only_operators_switch(self, acme: Any, actor: Actor) -> None:
        with pytest.raises(OperatorNeeded):
            share(0, actor)
        with pytest.raises(OperatorNeeded):
            switch(acme, False, actor)
        assert flags.is_on(FETCH, acme.pk)

    def test_what_an_operator_set_stays_when_the_code_declares_again(self, operator: Actor) -> None:
        share(10, operator)
        FeatureFlag.objects.update(description="an old text")
        services.declare_flags()
        row = FeatureFlag.objects.get(pk=FETCH)
        assert (row.percentage, row.description) == (10, KNOWN[FETCH].description)

    def test_an_obsolete_flag_cannot_be_switched(self, acme: Any, operator: Actor) -> None:
        FeatureFlag.objects.create(name="datasets.fax", description="Datasets by fax", percentage=100)
        with pytest.raises(errors.FlagObsolete):
            share(0, operator, "datasets.fax")
        with pytest.raises(errors.FlagObsolete):
            switch(acme, True, operator, "datasets.fax")


class TestFaces:
    def test_a_page_without_the_feature_offers_no_url_and_says_why_it_takes_none(
        self, acme: Any, as_owner: Client, operator: Actor
    ) -> None:
        path = "/o/acme/data/new/"
        form = as_owner.get(path)
        assert 'name="url"' in form.content.decode()
        switch(acme, False, operator)
        assert 'name="url"' not in as_owner.get(path).content.decode()
        answer = as_owner.post(path, {"url": "https://example.com/new.csv"})
        assert answer.status_code == 422
        assert "“Datasets from a URL” is switched off" in answer.content.decode()
        with tenancy.scope(acme.pk):
            assert not Dataset.objects.exists()

    def test_the_api_refuses_a_url_and_takes_a_file(
        self, acme: Any, api_owner: Any, api_outsider: Any, operator: Actor
    ) -> None:
        switch(acme, False, operator)
        given = {"name": "new", "url": "https://example.com/new.csv"}
        refused = api_owner.post("/api/v1/datasets/", given)
        assert (refused.status_code, refused.json()["code"]) == (403, "feature_switched_off")
        assert api_outsider.post("/api/v1/datasets/", given).status_code == 202
        upload = {"name": "plants", "file": SimpleUploadedFile("plants.csv", plants_csv().encode())}
        assert api_owner.post("/api/v1/datasets/", upload, format="multipart").status_code == 202

    def test_the_sample_project_is_neither_offered_nor_built(
        self, acme: Any, as_owner: Client, actor: Actor, operator: Actor
    ) -> None:
        assert "Build the sample project" in as_owner.get("/o/acme/").content.decode()
        switch(acme, False, operator, "console.sample")
        assert "sample project" not in as_owner.get("/o/acme/").content.decode()
        assert as_owner.post("/o/acme/sample/").status_code == 403
        with tenancy.scope(acme.pk), pytest.raises(errors.FeatureSwitchedOff):
            console_services.start_sample_project(by=actor)

    def test_the_template_tag_asks_for_the_pages_organization(self, acme: Any, globex: Any, operator: Actor) -> None:
        switch(acme, False, operator)
        page = Template('{% load flags %}{% flag "datasets.fetch" as on %}{% if on %}yes{% else %}no{% endif %}')
        told = []
        for organization in (acme, globex):
            request = RequestFactory().get("/")
            request.organization = organization
            told.append(page.render(Context({"request": request})))
        assert told == ["no", "yes"]


class TestConsole:
    def act(self, console: Client, action: str, *names: str, **answers: str) -> Any:
        return console.post(LIST, {"action": action, "_selected_action": list(names), **answers}, follow=True)

    def test_the_list_shows_every_flag_and_which_are_obsolete(
        self, console: Client, acme: Any, operator: Actor
    ) -> None:
        FeatureFlag.objects.create(name="datasets.fax", description="Datasets by fax", percentage=100)
        switch(acme, False, operator)
        page = console.get(LIST)
        assert {row.name for row in page.context["cl"].result_list} == {*KNOWN, "datasets.fax"}
        text = page.content.decode()
        assert "Obsolete" in text
        assert "1 off" in text

    def test_the_switch_actions_are_those_of_the_service(self, console: Client, acme: Any) -> None:
        self.act(console, "switch_off", FETCH)
        assert not flags.is_on(FETCH, acme.pk)
        self.act(console, "switch_on", FETCH)
        assert flags.is_on(FETCH, acme.pk)
        assert LogEntry.objects.count() == 2
        history = "/admin/organizations/featureflag/datasets.fetch/history/"
        assert history in console.get(LIST).content.decode()
        assert "From 100 % to 0 % of the organizations" in console.get(history).content.decode()

    def test_a_share_is_asked_for_and_a_wrong_one_refused(self, console: Client) -> None:
        assert "Percent" in self.act(console, "set_share", FETCH).content.decode()
        self.act(console, "set_share", FETCH, percentage="30")
        assert FeatureFlag.objects.get(pk=FETCH).percentage == 30
        refused = self.act(console, "set_share", FETCH, percentage="many").content.decode()
        assert "whole number from 0 to 100" in refused
        assert FeatureFlag.objects.get(pk=FETCH).percentage == 30

    def test_organizations_are_chosen_by_their_addresses(self, console: Client, acme: Any, globex: Any) -> None:
        assert "acme, globex" in self.act(console, "choose", FETCH).content.decode()
        told = self.act(console, "choose", FETCH, organizations="acme, nobody", word="off").content.decode()
        assert "There is no organization “nobody”" in told
        assert (flags.is_on(FETCH, acme.pk), flags.is_on(FETCH, globex.pk)) == (False, True)
        self.act(console, "choose", FETCH, organizations="acme", word="others")
        assert flags.is_on(FETCH, acme.pk)

    def test_an_organizations_page_switches_its_own_and_comes_back(self, console: Client, acme: Any) -> None:
        page = f"/admin/organizations/organization/{acme.pk}/change/"
        assert "On, as everybody" in " ".join(console.get(page).content.decode().split())
        answers = {"organizations": "acme", "word": "off", "from_page": "1"}
        answer = self.act(console, "choose", FETCH, **answers)
        assert answer.redirect_chain[-1][0] == page
        assert "Off, for this organization" in " ".join(answer.content.decode().split())

    def test_nobody_else_sees_or_switches(self, as_owner: Client, client: Client, acme: Any) -> None:
        for browser in (as_owner, client):
            assert browser.get(LIST).status_code == 302
            browser.post(LIST, {"action": "switch_off", "_selected_action": [FETCH]})
        assert flags.is_on(FETCH, acme.pk)

    def test_more_choices_cost_no_more_queries(self, console: Client, acme: Any, operator: Actor) -> None:
        console.get(LIST)
        few = self.queries(console)
        for _ in range(30):
            FeatureFlag.objects.create(name=str(uuid4()), description="one more", percentage=0)
        switch(acme, False, operator)
        assert self.queries(console) == few

    def queries(self, console: Client) -> int:
        with CaptureQueriesContext(connections["console"]) as one, CaptureQueriesContext(connection) as other:
            assert console.get(LIST).status_code == 200
        return len(one) + len(other)


def test_migrating_writes_down_what_the_code_knows() -> None:
    FeatureFlag.objects.all().delete()
    config = apps.get_app_config("organizations")
    post_migrate.send(sender=config, using="default", apps=apps, app_config=config, verbosity=0, interactive=False)
    assert set(FeatureFlag.objects.values_list("name", flat=True)) == set(KNOWN)
