"""The ends of jobs are told: to whom, once, and many at once as one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core.actors import Actor
from apps.jobs import telling
from apps.jobs.models import Job
from apps.notifications.models import Notification, WebhookMessage
from apps.notifications.services import set_preferences, webhooks
from tests.conftest import actor_of

pytestmark = pytest.mark.django_db


def ended(status: str, count: int = 1, **fields: Any) -> None:
    defaults = {"kind": "test.kind", "queue": "default", "label": "Train churn", "reason": "Gave up"}
    now = timezone.now()
    rows = [Job(status=status, finished_at=now, **{**defaults, **fields}) for _ in range(count)]
    Job.objects.bulk_create(rows)


def inbox(user: Any) -> list[tuple[str, str]]:
    return list(Notification.objects.of(user.pk).order_by("id").values_list("event", "title"))


def tell(capture: Any) -> None:
    with capture(execute=True):
        telling.tell()


def test_an_end_is_told_once(in_acme: Any, developer: Any) -> None:
    ended("succeeded", created_by_id=developer.pk)
    assert (telling.tell(), telling.tell()) == (1, 0)
    assert inbox(developer) == [("job.succeeded", "Train churn finished")]


def test_a_dead_job_alerts_who_submitted_it_and_who_is_in_charge(
    in_acme: Any, developer: Any, owner: Any, viewer: Any, django_capture_on_commit_callbacks: Any
) -> None:
    ended("dead", created_by_id=developer.pk, reason="Gave up after 3 attempts: no memory")
    tell(django_capture_on_commit_callbacks)
    assert inbox(developer) == inbox(owner) == [("job.dead", "Train churn died")]
    assert inbox(viewer) == []
    assert {one.to[0] for one in mail.outbox} == {developer.email, owner.email}
    assert "Gave up after 3 attempts: no memory" in mail.outbox[0].body


def test_a_kind_that_tells_its_own_end_alerts_who_is_in_charge_but_not_its_submitter_twice(
    in_acme: Any, developer: Any, owner: Any
) -> None:
    ended("dead", kind="training.run", created_by_id=developer.pk)
    ended("dead", kind="training.run", created_by_id=owner.pk)
    ended("failed", kind="training.run", created_by_id=developer.pk)
    telling.tell()
    assert inbox(developer) == []
    assert inbox(owner) == [("job.dead", "Train churn died")]


def test_what_dies_together_is_one_line_and_one_mail_that_lead_to_all_of_it(
    in_acme: Any, as_owner: Any, owner: Any, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    webhooks.create_endpoint("https://example.com/hook", by=actor, events=["job.dead"])
    ended("dead", 312)
    tell(django_capture_on_commit_callbacks)
    assert inbox(owner) == [("job.dead", "312 jobs died")]
    (sent,) = mail.outbox
    assert "312 jobs died" in sent.subject
    assert "/o/acme/jobs/?status=dead" in sent.body
    row = Notification.objects.get()
    assert as_owner.post(f"/o/acme/notifications/{row.pk}/open/")["Location"] == "/o/acme/jobs/?status=dead"
    assert len({json.loads(one.body)["data"]["id"] for one in WebhookMessage.objects.all()}) == 312


def test_three_are_told_one_by_one(in_acme: Any, owner: Any) -> None:
    ended("dead", 3)
    telling.tell()
    assert inbox(owner) == [("job.dead", "Train churn died")] * 3


def test_what_dies_one_after_the_other_becomes_one_line_too(
    in_acme: Any, owner: Any, django_capture_on_commit_callbacks: Any
) -> None:
    for _ in range(9):
        ended("dead")
        tell(django_capture_on_commit_callbacks)
        Notification.objects.filter(number__gt=1).update(read_at=timezone.now())
    ended("dead")
    tell(django_capture_on_commit_callbacks)
    assert inbox(owner) == [*[("job.dead", "Train churn died")] * 3, ("job.dead", "10 jobs died")]
    assert Notification.objects.get(number=10).is_unread
    assert len(mail.outbox) == 4


def test_after_a_while_a_death_is_told_by_itself_again(in_acme: Any, owner: Any) -> None:
    ended("dead", 20)
    telling.tell()
    Notification.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    ended("dead")
    telling.tell()
    assert inbox(owner)[-1] == ("job.dead", "Train churn died")


def test_who_wishes_no_lines_is_still_mailed_once(
    in_acme: Any, owner: Any, django_capture_on_commit_callbacks: Any
) -> None:
    set_preferences({("job.dead", "inbox"): False}, by=actor_of(owner, "owner"))
    ended("dead", 50)
    tell(django_capture_on_commit_callbacks)
    assert inbox(owner) == []
    assert len(mail.outbox) == 1


def test_more_ends_take_no_more_statements(in_acme: Any, developer: Any, owner: Any, actor: Actor) -> None:
    webhooks.create_endpoint("https://example.com/hook", by=actor)

    def count() -> int:
        Notification.objects.all().delete()
        with CaptureQueriesContext(connection) as seen:
            telling.tell()
        return len(seen)

    ended("succeeded", 4, created_by_id=developer.pk)
    few = count()
    ended("succeeded", 200, created_by_id=developer.pk)
    assert count() == few
