"""The operator's console: every list and every row, across organizations, and actions that call services."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse

from apps.accounts import mail
from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.admin import ConsoleAdmin
from apps.jobs.models import Job
from tests.factories import world

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

MODELS = [model for model, page in admin.site._registry.items() if isinstance(page, ConsoleAdmin)]


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


def address(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_the_operator_sees_every_list_and_every_row(console: Client, acme: Any, actor: Actor) -> None:
    world.build(acme, actor)
    assert len(MODELS) > 10
    assert console.get("/admin/").status_code == 200
    for model in MODELS:
        assert console.get(address(model, "changelist")).status_code == 200, model
        manager = getattr(model, "unscoped", model.objects)
        row = manager.using("console").first()
        if row is not None:
            assert console.get(address(model, "change", row.pk)).status_code == 200, model


def test_nobody_else_sees_the_console(as_owner: Client, client: Client) -> None:
    for browser in (as_owner, client):
        response = browser.get("/admin/jobs/job/")
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")


def test_an_action_acts_as_the_operator_in_the_tenants_own_trail(console: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        job = Job.objects.create(kind="console.sample_project", queue="data", label="a job")
    body = {"action": "cancel", "_selected_action": [str(job.pk)]}
    console.post("/admin/jobs/job/", body)
    with tenancy.scope(acme.pk):
        job.refresh_from_db()
        assert job.status == "cancelled"
        entry = AuditEntry.objects.get(action="job.cancelled")
        assert (entry.actor_kind, entry.actor_label) == ("operator", "operator operator@modelyard.test")


def test_the_console_changes_no_row_by_itself(console: Client, acme: Any, actor: Actor) -> None:
    rows = world.build(acme, actor)
    response = console.post(address(Job, "change", rows["job_id"].pk), {"label": "renamed"})
    assert response.status_code == 403


def save(console: Client, person: User, **ticked: str) -> None:
    console.post(address(User, "change", person.pk), {"name": "Ada", **ticked})
    person.refresh_from_db()


def test_an_operator_is_made_and_unmade_in_the_console(console: Client, outsider: User, client: Client) -> None:
    client.force_login(outsider)
    save(console, outsider, is_staff="on", is_active="on")
    assert client.get(address(User, "changelist")).status_code == 200
    save(console, outsider, is_active="on")
    assert client.get(address(User, "changelist")).status_code == 302
    assert not outsider.is_superuser


def test_changing_the_password_leads_to_the_page_that_is_limited_and_tells(console: Client) -> None:
    body = {"old_password": "a-password", "new_password1": "another horse", "new_password2": "another horse"}
    assert console.post("/admin/password_change/", body)["Location"] == "/accounts/password/change/"
    assert User.objects.get(email="operator@modelyard.test").check_password("a-password")


def test_addresses_and_linked_accounts_are_read_only(console: Client) -> None:
    for path in ("account/emailaddress", "socialaccount/socialaccount"):
        assert console.get(f"/admin/{path}/").status_code == 200
        assert console.get(f"/admin/{path}/add/").status_code == 403


def test_the_console_writes_names_as_they_are_and_times_with_their_zone(console: Client, outsider: User) -> None:
    page = console.get(address(User, "change", outsider.pk)).content.decode()
    assert ">outsider@globex.test<" in page
    assert ">Outsider@globex.test<" not in page
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", page)


def test_an_empty_list_of_the_console_says_so(console: Client) -> None:
    assert "There are no jobs yet." in console.get("/admin/jobs/job/").content.decode()
    assert "Nothing matches" in console.get("/admin/jobs/job/?q=x").content.decode()


def test_a_kept_mail_keeps_its_paragraphs(console: Client) -> None:
    row = mail.keep(EmailMessage("Hello", "One.\n\nTwo <b>.", to=["a@b.test"]))
    page = console.get(address(type(row), "change", row.pk)).content.decode()
    assert "One.<br><br>Two &lt;b&gt;." in page
