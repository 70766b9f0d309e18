"""The first page shows each role what it may read, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.console import queries
from apps.core.actors import Actor
from apps.organizations.enums import Role
from apps.organizations.models import Membership
from apps.organizations.permissions import TABLE
from tests.conftest import actor_of
from tests.factories import world
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db

NEEDED = {
    "datasets": "datasets.read",
    "model_versions": "models.read",
    "deployments": "deployments.read",
    "predictions": "usage.read",
    "calls": "calls.read",
    "failed_calls": "calls.read",
    "recent_jobs": "jobs.read",
}


@pytest.fixture
def acme_world(acme: Any, in_acme: Any, actor: Actor) -> Any:
    return world.build(acme, actor)


@pytest.mark.parametrize("role", list(Role))
def test_the_overview_holds_exactly_what_the_role_may_read(role: Role, acme_world: Any, owner: Any) -> None:
    overview = queries.overview(actor_of(owner, role))
    for name, permission in NEEDED.items():
        assert (getattr(overview, name) is not None) == (role in TABLE[permission]), name


def test_billing_sees_usage_and_neither_names_nor_links_of_the_work(acme_world: Any, acme: Any) -> None:
    person = UserFactory()
    Membership.objects.create(user=person, role="billing")
    browser = Client()
    browser.force_login(person)
    page = browser.get("/o/acme/").content.decode()
    assert "/o/acme/usage/" in page
    for hidden in ("walnut", "/o/acme/data/", "/o/acme/models/", "/o/acme/deployments/", "/o/acme/jobs/"):
        assert hidden not in page
