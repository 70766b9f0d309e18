"""The cast, and the real services they act on.

`acme` has `owner`, `developer` and `viewer`; `globex` has `outsider`, who must see nothing of acme.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, TransactionTestCase
from playwright.sync_api import Browser
from rest_framework.test import APIClient

from apps.accounts import outbox
from apps.accounts.jwt import keys
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.models import Membership
from apps.organizations.permissions import ROLE_PERMISSIONS
from tests import database
from tests.browsing import launched
from tests.e2e.installation import Installation
from tests.factories.people import UserFactory


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: Any) -> Iterator[None]:
    database.create()
    TransactionTestCase._fixture_teardown = lambda self: _empty_the_database()
    yield
    with django_db_blocker.unblock():
        from django.db import connections

        connections.close_all()
    database.drop()


def _empty_the_database() -> None:
    database.truncate()
    keys.forget()


@pytest.fixture(autouse=True)
def prompt_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails are sent by whoever rings: no worker runs beside the tests."""
    monkeypatch.setattr(outbox, "ring", outbox.send_due)


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """A whole installation of its own; its first start is the main job, run by the sample project."""
    running = Installation()
    try:
        running.start()
        yield running
    finally:
        running.remove()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Of the module: while it is open, an event loop runs in this thread, which other tests want for themselves.
    with launched() as started:
        yield started


@pytest.fixture
def owner(db: None) -> Any:
    return UserFactory(email="owner@acme.test")


@pytest.fixture
def developer(db: None) -> Any:
    return UserFactory(email="developer@acme.test")


@pytest.fixture
def viewer(db: None) -> Any:
    return UserFactory(email="viewer@acme.test")


@pytest.fixture
def outsider(db: None) -> Any:
    return UserFactory(email="outsider@globex.test")


@pytest.fixture
def acme(owner: Any, developer: Any, viewer: Any) -> Any:
    organization = services.create_organization("Acme", owner, slug="acme")
    with tenancy.scope(organization.pk):
        Membership.objects.create(user=developer, role="developer")
        Membership.objects.create(user=viewer, role="analyst")
    return organization


@pytest.fixture
def globex(outsider: Any) -> Any:
    return services.create_organization("Globex", outsider, slug="globex")


@pytest.fixture
def in_acme(acme: Any) -> Iterator[Any]:
    with tenancy.scope(acme.pk):
        yield acme


def actor_of(user: Any, role: str) -> Actor:
    return Actor("user", user.pk, user.email, ROLE_PERMISSIONS[role], user.pk, request_id="req_test")


@pytest.fixture
def actor(owner: Any) -> Actor:
    return actor_of(owner, "owner")


def _browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def as_owner(acme: Any, owner: Any) -> Client:
    return _browser(owner)


@pytest.fixture
def as_developer(acme: Any, developer: Any) -> Client:
    return _browser(developer)


@pytest.fixture
def as_viewer(acme: Any, viewer: Any) -> Client:
    return _browser(viewer)


@pytest.fixture
def as_outsider(globex: Any, outsider: Any) -> Client:
    return _browser(outsider)


def api_client(organization: Any, by: Actor) -> APIClient:
    """A client with a token that may do all that `by` may."""
    with tenancy.scope(organization.pk):
        _, text = services.create_token(f"{by.label}'s token", sorted(by.permissions), by=by)
    client = APIClient()
    client.default_format = "json"
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    client.token = text
    return client


@pytest.fixture
def api_owner(acme: Any, owner: Any) -> APIClient:
    return api_client(acme, actor_of(owner, "owner"))


@pytest.fixture
def api_developer(acme: Any, developer: Any) -> APIClient:
    return api_client(acme, actor_of(developer, "developer"))


@pytest.fixture
def api_viewer(acme: Any, viewer: Any) -> APIClient:
    return api_client(acme, actor_of(viewer, "analyst"))


@pytest.fixture
def api_outsider(globex: Any, outsider: Any) -> APIClient:
    return api_client(globex, actor_of(outsider, "owner"))
