"""Where somebody lands, and the sample project's place in the queues."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.console import services
from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs.models import Job
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


def landing(user: Any) -> str:
    browser = Client()
    browser.force_login(user)
    return browser.get("/")["Location"]


def test_each_person_lands_where_they_can_go_on(acme: Any, viewer: Any) -> None:
    assert landing(viewer) == "/o/acme/"
    assert landing(UserFactory()) == "/welcome/"
    assert landing(User.objects.create_superuser("operator@modelyard.test", "a-password")) == "/admin/"


def test_a_new_person_founds_an_organization(db: None) -> None:
    browser = Client()
    browser.force_login(UserFactory())
    assert browser.post("/welcome/", {"name": ""}).status_code == 422
    assert 'href="/accounts/profile/"' in browser.get("/welcome/").content.decode()
    assert browser.post("/welcome/", {"name": "Blue Bakery"})["Location"] == "/o/blue-bakery/"
    assert "From a table to an endpoint" in browser.get("/o/blue-bakery/").content.decode()


def test_the_sample_project_is_built_once_at_a_time_and_in_nobodys_way(in_acme: Any, actor: Actor) -> None:
    first = services.start_sample_project(by=actor)
    assert services.start_sample_project(by=actor) == first
    # The jobs it waits for run on other queues, so however many wait, none of those is kept from running.
    assert first.queue == "errands"
    assert not Job.objects.exclude(pk=first.pk).filter(queue="errands").exists()


def test_a_viewer_builds_no_sample(as_viewer: Client, acme: Any) -> None:
    assert as_viewer.post("/o/acme/sample/").status_code == 403
    with tenancy.scope(acme.pk):
        assert not Job.objects.exists()
