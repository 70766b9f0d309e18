"""What a person wishes to be told, by event and channel."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from apps.core.actors import Actor
from apps.jobs.models import Job
from apps.notifications import services
from apps.notifications.enums import Channel
from apps.notifications.errors import MailNotOptional
from apps.notifications.models import Notification, Preference
from tests.conftest import actor_of
from tests.working import fail

pytestmark = pytest.mark.django_db
HOME = "/o/acme/notifications/preferences/"
API = "/api/v1/notification-preferences/"


@pytest.fixture
def by(in_acme: Any, developer: Any) -> Actor:
    return actor_of(developer, "developer")


def failed_job_of(developer: Any) -> Job:
    job = Job.objects.create(kind="test.kind", queue="default", label="Train churn", created_by_id=developer.pk)
    return fail(job, "It broke.")


@pytest.mark.parametrize(("channel", "rows", "mails"), [(Channel.INBOX, 0, 1), (Channel.MAIL, 1, 0)])
def test_a_channel_that_is_off_tells_nothing_and_the_other_still_does(
    by: Actor, developer: Any, channel: str, rows: int, mails: int, django_capture_on_commit_callbacks: Any
) -> None:
    services.set_preferences({("job.failed", channel): False}, by=by)
    with django_capture_on_commit_callbacks(execute=True):
        failed_job_of(developer)
    assert (Notification.objects.count(), len(mail.outbox)) == (rows, mails)


def test_the_last_word_counts(by: Actor) -> None:
    for is_on in (False, True, False):
        services.set_preferences({("job.failed", Channel.MAIL): is_on}, by=by)
    assert Preference.objects.get().is_on is False


def test_a_wish_holds_for_its_person_only(by: Actor, owner: Any) -> None:
    services.set_preferences({("job.failed", Channel.INBOX): False}, by=by)
    failed_job_of(owner)
    assert Notification.objects.get().user_id == owner.pk


def test_mail_that_keeps_the_account_safe_cannot_be_turned_off(by: Actor) -> None:
    with pytest.raises(MailNotOptional):
        services.set_preferences({("token.created", Channel.MAIL): False}, by=by)
    assert not Preference.objects.exists()


def test_the_page_shows_the_defaults_and_keeps_what_is_chosen(as_developer: Client, in_acme: Any) -> None:
    page = as_developer.get(HOME).content.decode()
    assert 'value="job.failed:mail" aria-label="job.failed:mail" checked' in page
    assert "token.created:mail" not in page
    assert as_developer.post(HOME, {"told": ["job.failed:inbox"]}).status_code == 303
    assert list(Preference.objects.filter(is_on=True).values_list("event", "channel")) == [("job.failed", "inbox")]
    assert 'value="job.failed:mail" aria-label="job.failed:mail">' in as_developer.get(HOME).content.decode()


def test_the_page_refuses_an_event_that_does_not_exist(as_developer: Client, in_acme: Any) -> None:
    assert as_developer.post(HOME, {"told": ["job.exploded:mail"]}).status_code == 422
    assert not Preference.objects.exists()


def test_only_what_ones_role_may_see_is_offered(as_viewer: Client, as_owner: Client) -> None:
    assert "member.joined" not in as_viewer.get(HOME).content.decode()
    assert "member.joined" in as_owner.get(HOME).content.decode()


def test_the_api_tells_and_changes_one_wish(api_developer: Any) -> None:
    changed = api_developer.patch(API, {"event": "job.failed", "channel": "mail", "is_on": False})
    assert (changed.status_code, changed.json()["is_on"]) == (200, False)
    (row,) = [one for one in api_developer.get(API).json() if one["event"] == "job.failed"]
    assert (row["inbox"], row["mail"], row["mail_is_optional"]) == (True, False, True)


def test_the_api_refuses_to_turn_off_mail_that_is_not_optional(api_developer: Any) -> None:
    refused = api_developer.patch(API, {"event": "token.created", "channel": "mail", "is_on": False})
    assert (refused.status_code, refused.json()["code"]) == (422, "mail_not_optional")
