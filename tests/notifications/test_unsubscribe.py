"""One-click unsubscription (RFC 8058): a signed link, without signing in; only a POST changes anything."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.test import Client

from apps.core import tenancy
from apps.jobs.models import Job
from apps.notifications.models import Notification, Preference
from apps.organizations.models import Membership
from tests.working import fail

pytestmark = pytest.mark.django_db
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def mailed(acme: Any, developer: Any, django_capture_on_commit_callbacks: Any) -> Any:
    """The mail about a failed job, as its person gets it."""
    with django_capture_on_commit_callbacks(execute=True):
        fail_a_job_in(acme, developer)
    return mail.outbox[-1]


def fail_a_job_in(organization: Any, user: Any) -> None:
    with tenancy.scope(organization.pk):
        job = Job.objects.create(kind="test.kind", queue="default", label="Train churn", created_by_id=user.pk)
        fail(job, "It broke.")


@pytest.fixture
def link(mailed: Any) -> str:
    header = mailed.extra_headers["List-Unsubscribe"]
    assert header.startswith("<http")
    assert header.endswith(">")
    return urlsplit(header[1:-1]).path


@pytest.fixture
def mail_program() -> Client:
    """No cookie, no token against forged requests, as RFC 8058 has it."""
    return Client(enforce_csrf_checks=True)


def test_an_optional_mail_carries_both_headers_and_the_link(mailed: Any, link: str) -> None:
    assert mailed.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in mailed.body


def test_the_mail_leads_to_what_it_is_about_by_a_button_and_out_by_a_plain_link(mailed: Any, link: str) -> None:
    html = str(mailed.alternatives[0].content)
    assert html.count('class="button"') == 1
    assert re.search(r'<a class="button" href="[^"]+/jobs/[^"]+">Open it</a>', html)
    assert re.search(rf'<a href="[^"]+{re.escape(link)}">Stop these mails</a>', html)


def test_one_click_stops_that_mail_and_leaves_the_inbox(
    link: str, acme: Any, developer: Any, mail_program: Client, django_capture_on_commit_callbacks: Any
) -> None:
    assert mail_program.post(link, ONE_CLICK).status_code == 200
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        fail_a_job_in(acme, developer)
    assert mail.outbox == []
    with tenancy.scope(acme.pk):
        assert Notification.objects.of(developer.pk).count() == 2


def test_looking_at_the_link_changes_nothing(link: str, in_acme: Any, mail_program: Client) -> None:
    page = mail_program.get(link)
    assert "Stop these mails" in page.content.decode()
    assert not Preference.objects.exists()


def test_clicking_twice_is_once(link: str, in_acme: Any, mail_program: Client) -> None:
    assert [mail_program.post(link, ONE_CLICK).status_code for _ in range(2)] == [200, 200]
    assert Preference.objects.get().is_on is False


def test_a_changed_link_is_refused(link: str, in_acme: Any, mail_program: Client) -> None:
    forged = link[:-3] + ("A" if link[-3] != "A" else "B") + link[-2:]
    for method in (mail_program.get, mail_program.post):
        assert method(forged).status_code == 404
    assert not Preference.objects.exists()


def test_a_link_of_somebody_who_left_changes_nothing(
    link: str, in_acme: Any, developer: Any, mail_program: Client
) -> None:
    Membership.objects.get(user=developer).delete()
    assert mail_program.post(link, ONE_CLICK).status_code == 200
    assert not Preference.objects.exists()


def test_the_link_holds_for_its_own_person_whoever_is_signed_in(
    link: str, in_acme: Any, developer: Any, as_owner: Client
) -> None:
    as_owner.post(link, ONE_CLICK)
    assert Preference.objects.get().user_id == developer.pk
