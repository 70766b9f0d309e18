"""Who is told of what, by which channel, and in which transaction."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction

from apps.accounts.models import Mail
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.datasets import services as datasets
from apps.deployments.enums import DeploymentStatus
from apps.deployments.models import Deployment, Replica
from apps.deployments.telling import tell_status
from apps.jobs import services as jobs
from apps.jobs import telling
from apps.jobs.models import Job
from apps.notifications import services
from apps.notifications.catalogue import EVENTS
from apps.notifications.errors import UnknownEvent
from apps.notifications.models import Notification, WebhookMessage
from apps.notifications.services import webhooks
from apps.organizations import services as organizations
from apps.organizations.models import ApiToken, Membership
from tests.conftest import actor_of
from tests.factories.people import UserFactory
from tests.factories.tables import plants_csv, ready_version
from tests.working import fail

pytestmark = pytest.mark.django_db


def succeed(job: Job) -> None:
    jobs.succeed(job, None)
    telling.tell()


def told(user: Any) -> list[str]:
    return list(Notification.objects.of(user.pk).order_by("id").values_list("event", flat=True))


@pytest.fixture
def job(in_acme: Any, developer: Any) -> Job:
    return Job.objects.create(kind="test.kind", queue="default", label="Train churn", created_by_id=developer.pk)


def test_a_failed_job_tells_the_person_who_started_it_and_nobody_else(job: Job, developer: Any, owner: Any) -> None:
    fail(job, "There is no column price.", "column_missing")
    row = Notification.objects.get(user=developer)
    assert (row.event, row.title, row.text) == ("job.failed", "Train churn failed", "There is no column price.")
    assert row.subject_id == job.pk
    assert told(owner) == []


def test_a_job_that_a_token_started_tells_the_tokens_person(job: Job, developer: Any, owner: Any) -> None:
    by = actor_of(developer, "developer")
    token, _ = organizations.create_token("ci", ["jobs.read"], by=by)
    job.created_by_id = token.pk
    succeed(job)
    assert told(developer) == ["token.created", "job.succeeded"]
    assert told(owner) == []


def test_whoever_left_is_told_nothing(job: Job, developer: Any) -> None:
    Membership.objects.get(user=developer).delete()
    succeed(job)
    assert not Notification.objects.exists()


def test_whoever_may_not_see_it_any_more_is_told_nothing(job: Job, developer: Any) -> None:
    Membership.objects.filter(user=developer).update(role="billing")
    succeed(job)
    assert not Notification.objects.exists()


def test_a_job_of_the_system_is_told_to_nobody(job: Job) -> None:
    job.created_by_id = None
    succeed(job)
    assert not Notification.objects.exists()


def test_what_is_rolled_back_was_told_to_nobody(
    job: Job, developer: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as callbacks, pytest.raises(ZeroDivisionError), transaction.atomic():
        fail(job, "It broke.")
        raise ZeroDivisionError
    assert told(developer) == []
    assert callbacks == []
    assert not Mail.objects.exists()


def test_a_mail_tells_the_event_with_its_link(
    job: Job, developer: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        fail(job, "There is no column price.", "column_missing")
    (sent,) = mail.outbox
    assert sent.to == [developer.email]
    assert "Train churn failed" in sent.subject
    assert "There is no column price." in sent.body
    assert f"/o/acme/jobs/{job.pk}/" in sent.body


def test_what_a_program_wrote_makes_no_link_of_its_own_in_a_mail(
    job: Job, developer: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        fail(job, f"It broke.\n\nOpen it: {settings.PUBLIC_URL}/elsewhere/\n\nSo it is.")
    (sent,) = mail.outbox
    html = str(sent.alternatives[0].content)
    assert "/elsewhere/ So it is." in html
    assert 'href="' + settings.PUBLIC_URL + '/elsewhere/"' not in html


def test_a_newcomer_is_told_to_those_who_manage_members(in_acme: Any, owner: Any, developer: Any, actor: Actor) -> None:
    guest = UserFactory(email="guest@acme.test")
    newcomer = Membership.objects.create(user=guest, role="admin")
    by = actor_of(guest, "admin")
    services.notify("member.joined", newcomer, {"email": guest.email, "role": "admin"}, but=by.user_id)
    assert told(owner) == ["member.joined"]
    assert told(guest) == []
    assert told(developer) == []


def test_who_accepts_an_invitation_is_told_to_the_owner(
    in_acme: Any, owner: Any, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        organizations.invite_member("guest@acme.test", "analyst", by=actor)
    found = re.search(r"/invitations/(\S+)/", str(mail.outbox[-1].body))
    assert found
    guest = UserFactory(email="guest@acme.test")
    organizations.accept_invitation(found[1], guest, by=Actor("user", guest.pk, guest.email, user_id=guest.pk))
    row = Notification.objects.get(user=owner)
    assert (row.event, row.title) == ("member.joined", "guest@acme.test joined as analyst")


def test_a_new_token_is_always_mailed_to_its_person(
    in_acme: Any, owner: Any, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        organizations.create_token("ci", ["jobs.read"], by=actor)
    (sent,) = mail.outbox
    assert sent.to == [owner.email]
    assert "List-Unsubscribe" not in sent.extra_headers
    assert ApiToken.objects.get().secret_hash not in sent.body


def deployed(status: DeploymentStatus) -> Deployment:
    return Deployment(id=uuid7(), name="churn", status=status.value)


def crashed() -> Replica:
    return Replica(status="failed", failure_count=1, last_error="It ran out of memory.")


def test_a_deployment_in_trouble_is_told_with_the_reason_to_those_who_build(
    in_acme: Any, developer: Any, viewer: Any
) -> None:
    tell_status(deployed(DeploymentStatus.DEGRADED), [crashed(), Replica(status="ready")])
    row = Notification.objects.get(user=developer)
    assert (row.event, row.text) == ("deployment.degraded", "It ran out of memory.")
    assert told(viewer) == []


def test_a_deployment_that_is_only_growing_alarms_nobody(in_acme: Any, developer: Any) -> None:
    tell_status(deployed(DeploymentStatus.DEGRADED), [Replica(status="ready"), Replica(status="starting")])
    assert told(developer) == []


def test_an_unknown_event_is_refused(job: Job) -> None:
    with pytest.raises(UnknownEvent):
        services.notify("job.exploded", job, {})


def test_telling_more_people_takes_no_more_queries(job: Job, django_assert_max_num_queries: Any) -> None:
    def count() -> int:
        with django_assert_max_num_queries(20) as seen:
            services.notify("deployment.ready", job, {"name": "churn"})
        return len(seen)

    before = count()
    for name in ("a", "b", "c"):
        Membership.objects.create(user=UserFactory(email=f"{name}@acme.test"), role="developer")
    assert count() == before


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_each_event_leads_to_a_page_that_exists(acme: Any, event: Any) -> None:
    assert event.address(acme, uuid7()).startswith("/o/acme/")
    if event.many:
        assert event.address(acme, None).startswith("/o/acme/")


def test_a_changed_role_is_told_to_its_member_but_not_to_who_changed_it(
    in_acme: Any, developer: Any, owner: Any, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        organizations.change_role(Membership.objects.get(user=developer), "analyst", by=actor)
    row = Notification.objects.get(user=developer)
    assert (row.event, row.title) == ("member.role_changed", "You are analyst now")
    assert row.text == f"Changed by {owner.email}; before, you were developer."
    assert told(owner) == []
    assert len(mail.outbox) == 1, "the organization's own mail"


def test_a_dataset_version_that_is_ready_is_told_to_who_had_it_read(in_acme: Any, developer: Any, owner: Any) -> None:
    version = ready_version("prices", plants_csv(), actor_of(developer, "developer"))
    row = Notification.objects.get(user=developer)
    assert (row.event, row.title) == ("dataset_version.ready", "prices version 1 is ready")
    assert row.subject_id == version.dataset_id
    assert told(owner) == []


def unread_version(by: Actor) -> Any:
    return datasets.create_dataset("prices", SimpleUploadedFile("prices.csv", plants_csv().encode()), by=by)


def test_a_dataset_version_that_cannot_be_read_is_told_with_the_reason(in_acme: Any, developer: Any) -> None:
    version = unread_version(actor_of(developer, "developer"))
    fail(version.job, "Row 3 has 4 columns.", "unreadable")
    row = Notification.objects.get(user=developer)
    assert (row.event, row.text) == ("dataset_version.failed", "Row 3 has 4 columns.")


def test_whoever_cancels_the_reading_of_a_dataset_version_is_not_told(in_acme: Any, developer: Any) -> None:
    by = actor_of(developer, "developer")
    version = unread_version(by)
    jobs.cancel_job(version.job, by=by)
    version.refresh_from_db()
    assert version.is_failed
    assert told(developer) == []


def test_who_wishes_so_is_told_of_new_and_deleted_datasets(in_acme: Any, developer: Any, owner: Any) -> None:
    wishes = {("dataset_version.created", "inbox"): True, ("dataset.deleted", "inbox"): True}
    services.set_preferences(wishes, by=actor_of(owner, "owner"))
    by = actor_of(developer, "developer")
    datasets.delete_dataset(unread_version(by).dataset, by=by)
    titles = Notification.objects.of(owner.pk).order_by("id").values_list("title", flat=True)
    assert list(titles) == ["prices version 1 was added", "prices was deleted"]


def test_webhooks_hear_of_a_dataset_versions_way(in_acme: Any, actor: Actor) -> None:
    webhooks.create_endpoint("https://example.com/hook", by=actor)
    version = ready_version("prices", plants_csv(), actor)
    bodies = [json.loads(one.body) for one in WebhookMessage.objects.order_by("id")]
    heard = {one["type"]: one["data"] for one in bodies if one["type"].startswith("dataset_version.")}
    assert list(heard) == ["dataset_version.created", "dataset_version.ready"]
    about = {"id": str(version.pk), "dataset_id": str(version.dataset_id), "number": 1, "name": "prices"}
    assert heard["dataset_version.ready"] == {**about, "row_count": version.row_count}
