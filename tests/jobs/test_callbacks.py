"""The end of a job, posted to the address that it was submitted with."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.http import link
from apps.jobs import services, submissions, telling
from apps.jobs.models import Job
from apps.jobs.services import Failure, Wishes
from apps.notifications.models import Delivery, DeliveryAttempt, WebhookEndpoint
from apps.notifications.services import webhooks
from apps.notifications.webhooks import errors
from tests.notifications.conftest import far_end, loopback_is_called, other_end, pass_time
from tests.notifications.webhooks import dispatched
from tests.stand_ins.receiver import Receiver, answering

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["far_end", "loopback_is_called", "other_end", "pass_time"]

Submit = Callable[..., Job]


@pytest.fixture
def submit(in_acme: Any, actor: Actor) -> Submit:
    def submitted(url: str, label: str = "Train tonight") -> Job:
        wishes = Wishes(callback_url=url, max_attempts=1)
        return submissions.submit_open_job("nightly-train", {}, by=actor, label=label, wishes=wishes)

    return submitted


def told() -> int:
    """Tells of ends as the sweeper does, and sends what there is to send."""
    count = Context().run(telling.tell)
    dispatched()
    return count


def succeed(job: Job) -> None:
    services.succeed(Job.objects.get(pk=job.pk), {"accuracy": 0.9})


def fail(job: Job) -> None:
    services.fail(Job.objects.get(pk=job.pk), Failure("no_use", "It is of no use"))


def die(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(attempt=1)
    services.retry_later(Job.objects.get(pk=job.pk), Failure("x", "It broke"), after=timedelta(0))


def cancel(job: Job) -> None:
    services.confirm_cancelled(Job.objects.get(pk=job.pk))


@pytest.mark.parametrize(
    ("end", "event", "status"),
    [
        (succeed, "job.succeeded", "succeeded"),
        (fail, "job.failed", "failed"),
        (cancel, "job.cancelled", "cancelled"),
        (die, "job.dead", "dead"),
    ],
)
def test_each_end_is_posted_once_signed(
    submit: Submit, far_end: Receiver, actor: Actor, end: Callable[[Job], None], event: str, status: str
) -> None:
    job = submit(far_end.url)
    told()
    assert far_end.received == [], "nothing before its end"
    end(job)
    assert told() == 1
    assert told() == 0
    (received,) = far_end.received
    secret = webhooks.reveal_secret(webhooks.callback_endpoint(by=actor), by=actor)
    document = Webhook(secret).verify(received.body, received.headers)
    assert document["type"] == event
    data = document["data"]
    assert (data["id"], data["status"], data["kind"], data["name"]) == (
        str(job.pk),
        status,
        "nightly-train",
        "Train tonight",
    )


def test_a_job_without_an_address_is_not_posted_and_needs_no_secret(
    submit: Submit, actor: Actor, far_end: Receiver
) -> None:
    job = services.submit_job("nightly-train", {}, by=actor, label="x")
    succeed(job)
    told()
    assert not WebhookEndpoint.objects.exists()


def test_a_callback_is_no_event_for_other_webhooks_and_theirs_none_for_it(
    submit: Submit, actor: Actor, far_end: Receiver, other_end: Receiver
) -> None:
    webhooks.create_endpoint(other_end.url, by=actor)
    succeed(submit(far_end.url))
    fail(services.submit_job("mine", {}, by=actor, label="x"))
    told()
    assert len(far_end.received) == 1
    assert sorted(json.loads(one.body)["type"] for one in other_end.received) == ["job.failed", "job.succeeded"]


def test_a_receiver_that_fails_gets_it_later_with_the_same_id(
    submit: Submit, far_end: Receiver, pass_time: Callable[[timedelta], None]
) -> None:
    far_end.answer = answering(500)
    succeed(submit(far_end.url))
    told()
    pass_time(timedelta(seconds=6))
    far_end.answer = answering(204)
    dispatched()
    assert (len(far_end.received), len(set(far_end.ids()))) == (2, 1)
    assert Delivery.objects.get().status == "succeeded"
    assert DeliveryAttempt.objects.count() == 2


def test_a_receiver_that_is_gone_ends_its_own_callbacks_only(
    submit: Submit, far_end: Receiver, other_end: Receiver
) -> None:
    far_end.answer = answering(410)
    gone, there = submit(far_end.url), submit(other_end.url)
    succeed(gone)
    told()
    succeed(there)
    told()
    assert len(other_end.received) == 1
    assert dict(Delivery.objects.values_list("subject_id", "status")) == {gone.pk: "failed", there.pk: "succeeded"}
    assert WebhookEndpoint.objects.get().disabled_at is None


def test_a_callback_is_sent_again_by_hand(submit: Submit, far_end: Receiver, api_owner: Any) -> None:
    job = submit(far_end.url)
    succeed(job)
    told()
    callback = api_owner.get(f"/api/v1/jobs/{job.pk}/").json()["callback"]
    assert (callback["url"], callback["status"], callback["attempt"]) == (far_end.url, "succeeded", 1)
    delivery = f"/api/v1/webhook-deliveries/{callback['delivery']}/"
    assert api_owner.get(delivery).json()["subject_id"] == str(job.pk)
    assert api_owner.post(f"{delivery}resend/").status_code == 202
    dispatched()
    assert (len(far_end.received), len(set(far_end.ids()))) == (2, 1)


def test_a_job_that_is_retried_tells_its_second_end_too(submit: Submit, far_end: Receiver, actor: Actor) -> None:
    job = submit(far_end.url)
    fail(job)
    told()
    services.retry_job(job, by=actor)
    succeed(job)
    told()
    assert [json.loads(one.body)["type"] for one in far_end.received] == ["job.failed", "job.succeeded"]
    assert len(set(far_end.ids())) == 2


def test_an_end_is_told_also_of_a_job_that_is_retried_at_once(submit: Submit, far_end: Receiver, actor: Actor) -> None:
    job = submit(far_end.url)
    fail(job)
    services.retry_job(job, by=actor)
    told()  # two that wait are sent at once, in any order
    succeed(job)
    told()
    assert [json.loads(one.body)["type"] for one in far_end.received] == ["job.failed", "job.succeeded"]


def test_an_address_that_leads_inside_is_not_called(submit: Submit, settings: Any) -> None:
    """A name is looked up when it is called; where it leads to us, it is refused then."""
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    succeed(submit("http://localhost:1/hook"))
    told()
    assert "not a public address" in DeliveryAttempt.objects.get().error


def test_disabled_callbacks_are_not_sent(submit: Submit, far_end: Receiver, actor: Actor) -> None:
    job = submit(far_end.url)
    webhooks.disable_endpoint(webhooks.callback_endpoint(by=actor), by=actor)
    succeed(job)
    assert told() == 1
    assert (far_end.received, Delivery.objects.count()) == ([], 0)


def test_the_endpoint_is_made_once_and_has_nothing_to_edit(submit: Submit, actor: Actor) -> None:
    submit("https://example.com/a"), submit("https://example.com/b")
    endpoint = WebhookEndpoint.objects.get()
    assert (str(endpoint), endpoint.wants("job.failed")) == ("Job callbacks", False)
    assert AuditEntry.objects.filter(action="webhook.created").count() == 1
    for refused in (
        lambda: webhooks.update_endpoint(endpoint, url="https://example.com/c", by=actor),
        lambda: webhooks.send_test(endpoint, by=actor),
        lambda: webhooks.delete_endpoint(endpoint, by=actor),
    ):
        with pytest.raises(errors.CallbackEndpointFixed):
            refused()
    webhooks.rotate_secret(endpoint, by=actor)


def test_the_pages_show_it_without_what_cannot_be_done(
    submit: Submit, as_owner: Any, in_acme: Any, far_end: Receiver
) -> None:
    def page_at(name: str, *args: Any) -> str:
        page: str = as_owner.get(link(in_acme, f"notifications:{name}", *args)).content.decode()
        return page

    succeed(submit(far_end.url))
    told()
    endpoint, delivery = WebhookEndpoint.objects.get(), Delivery.objects.get()
    assert "Job callbacks" in page_at("webhook-list")
    page = page_at("webhook-detail", endpoint.pk)
    assert "Show secret" in page
    for text in ("Send test event", "Delete endpoint", ">Edit<"):
        assert text not in page
    page = page_at("delivery-detail", delivery.pk)
    assert far_end.url in page
    assert "Send again" in page


def test_s1_another_organization_has_another_secret(submit: Submit, actor: Actor, globex: Any, outsider: Any) -> None:
    submit("https://example.com/")
    mine = webhooks.reveal_secret(webhooks.callback_endpoint(by=actor), by=actor)
    with tenancy.scope(globex.pk):
        theirs = webhooks.reveal_secret(webhooks.callback_endpoint(by=actor), by=actor)
    assert mine != theirs


def test_many_ends_are_posted_by_few_statements(
    submit: Submit, actor: Actor, django_assert_max_num_queries: Any
) -> None:
    jobs = [submit("https://example.com/", f"job {n}") for n in range(30)]
    for job in jobs:
        succeed(job)
    with django_assert_max_num_queries(40):
        Context().run(telling.tell)
    assert Delivery.objects.count() == 30
