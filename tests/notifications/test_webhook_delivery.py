"""Outgoing webhooks, sent over a socket to receivers that fail in every way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction

from apps.core import tenancy
from apps.core.actors import Actor
from apps.notifications.models import Delivery, DeliveryAttempt, WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import claiming, clock, dispatch, sending
from apps.notifications.webhooks.outbox import enqueue
from tests.conftest import actor_of
from tests.notifications.webhooks import EVENT, dispatched, only_delivery
from tests.stand_ins import receiver
from tests.stand_ins.receiver import Receiver, answering

pytestmark = pytest.mark.django_db(transaction=True)


def signatures(secret: str, received: receiver.Received) -> str:
    """As a receiver computes it, by the letter of the specification."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = b".".join([received.headers["webhook-id"].encode(), received.headers["webhook-timestamp"].encode()])
    digest = hmac.new(key, content + b"." + received.body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def test_an_event_arrives_signed_with_its_payload(endpoint: WebhookEndpoint, far_end: Receiver, actor: Actor) -> None:
    enqueue(EVENT, {"name": "Train äpfel"})
    assert dispatched() == 1
    (received,) = far_end.received
    document = json.loads(received.body)
    assert (document["type"], document["data"]) == (EVENT, {"name": "Train äpfel"})
    assert received.headers["webhook-id"] == only_delivery().message.webhook_id
    assert abs(int(received.headers["webhook-timestamp"]) - clock.now().timestamp()) < 60
    secret = services.reveal_secret(endpoint, by=actor)
    assert received.headers["webhook-signature"] == signatures(secret, received)
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.response_status, attempt.response_body, attempt.outcome) == (200, "thanks", "succeeded")
    assert only_delivery().status == "succeeded"


def test_while_a_rotation_overlaps_both_secrets_sign_and_afterwards_one(
    endpoint: WebhookEndpoint, far_end: Receiver, actor: Actor, pass_time: Any
) -> None:
    old = services.reveal_secret(endpoint, by=actor)
    new = services.reveal_secret(services.rotate_secret(endpoint, by=actor, overlap=timedelta(hours=1)), by=actor)
    enqueue(EVENT, {})
    dispatched()
    pass_time(timedelta(hours=2))
    enqueue(EVENT, {})
    dispatched()
    overlapping, later = far_end.received
    told = overlapping.headers["webhook-signature"].split(" ")
    assert told == [signatures(new, overlapping), signatures(old, overlapping)]
    assert later.headers["webhook-signature"] == signatures(new, later)


def test_p4_an_endpoint_that_fails_for_an_hour_gets_its_event_when_it_recovers(
    endpoint: WebhookEndpoint, far_end: Receiver, pass_time: Any
) -> None:
    far_end.answer = answering(500, b"oh no")
    enqueue(EVENT, {"n": 1})
    for _ in range(10):
        dispatched()
        pass_time(timedelta(minutes=6))
    failed = len(far_end.received)
    assert failed == 4
    assert only_delivery().status == "retrying"
    far_end.answer = answering(204)
    dispatched()
    assert len(far_end.received) == failed, "not before its time"
    pass_time(timedelta(hours=2))
    dispatched()
    pass_time(timedelta(hours=72))
    dispatched()
    assert len(far_end.received) == failed + 1, "and once only"
    assert len(set(far_end.ids())) == 1, "the same id on every attempt"
    assert len({one.body for one in far_end.received}) == 1
    assert only_delivery().status == "succeeded"


def test_after_72_hours_an_event_is_given_up(endpoint: WebhookEndpoint, far_end: Receiver, pass_time: Any) -> None:
    far_end.answer = answering(503)
    enqueue(EVENT, {})
    for _ in range(20):
        dispatched()
        pass_time(timedelta(hours=10))
    assert Delivery.objects.filter(message__event=EVENT).get().status == "failed"


def test_an_endpoint_that_is_gone_is_disabled_and_gets_nothing_more(
    endpoint: WebhookEndpoint, far_end: Receiver
) -> None:
    far_end.answer = answering(410)
    enqueue(EVENT, {})
    dispatched()
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.disabled_because) == ("disabled", services.GONE)
    assert only_delivery().status == "failed"
    enqueue(EVENT, {})
    dispatched()
    assert len(far_end.received) == 1


def test_a_redirect_is_a_failure_and_is_not_followed(
    endpoint: WebhookEndpoint, far_end: Receiver, other_end: Receiver
) -> None:
    far_end.answer = answering(307, Location=other_end.url)
    enqueue(EVENT, {})
    dispatched()
    assert other_end.received == []
    assert "redirect" in DeliveryAttempt.objects.get().error
    assert only_delivery().status == "retrying"


@pytest.mark.parametrize("manner", ["silent", "dripping"])
def test_a_slow_endpoint_is_left_and_tried_again(endpoint: WebhookEndpoint, far_end: Receiver, manner: str) -> None:
    far_end.answer = getattr(far_end, manner)
    enqueue(EVENT, {})
    dispatched()
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.response_status, attempt.outcome) == (None, "failed")
    assert attempt.error
    assert only_delivery().status == "retrying"


def test_an_answer_above_the_cap_is_a_failure_and_a_long_one_is_cut(
    endpoint: WebhookEndpoint, far_end: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_end.answer = answering(200, b"x" * 2001)
    enqueue(EVENT, {})
    dispatched()
    assert "more than 2000 bytes" in DeliveryAttempt.objects.get().error
    monkeypatch.setattr(sending, "KEPT_CHARS", 100)
    far_end.answer = answering(200, b"\x00" * 2000)
    enqueue(EVENT, {})
    dispatched()
    assert DeliveryAttempt.objects.latest("id").response_body == "\ufffd" * 100


def test_s4_a_name_that_later_leads_to_a_private_address_is_not_called(
    in_acme: Any, actor: Actor, far_end: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, answers = socket.getaddrinfo, ["127.0.0.1", "10.0.0.1"]

    def answered(host: Any, *args: Any, **kwargs: Any) -> Any:
        return ask(answers.pop(0) if host == "hooks.test" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answered)
    services.create_endpoint(far_end.url.replace("127.0.0.1", "hooks.test"), by=actor)
    for _ in range(2):
        enqueue(EVENT, {})
        dispatched()
    assert len(far_end.received) == 1
    assert "not a public address" in DeliveryAttempt.objects.latest("id").error


def test_two_dispatchers_at_once_send_everything_once(endpoint: WebhookEndpoint, far_end: Receiver) -> None:
    for number in range(12):
        enqueue(EVENT, {"n": number})

    def work() -> None:
        dispatch._dispatch()
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(far_end.received) == 12
    assert len(set(far_end.ids())) == 12
    assert set(Delivery.objects.values_list("status", "attempt")) == {("succeeded", 1)}


def test_p4_a_dispatcher_that_dies_between_sending_and_noting_it_loses_nothing(
    endpoint: WebhookEndpoint, far_end: Receiver, pass_time: Any
) -> None:
    enqueue(EVENT, {})
    (claim,) = claiming.claim(10, sending.LEASE_S)
    attempt = sending.begin(claim)
    assert attempt
    outcome = sending.send(attempt, attempt.delivery.message.body.encode())
    assert dispatched() == 0, "it is leased"
    pass_time(timedelta(seconds=sending.LEASE_S + 1))
    assert dispatched() == 1
    assert len(far_end.received) == 2
    assert len(set(far_end.ids())) == 1
    sending.finish(claim, attempt, outcome)
    assert (only_delivery().status, only_delivery().attempt) == ("succeeded", 2)


def test_a_stale_outcome_is_fenced_off(endpoint: WebhookEndpoint, far_end: Receiver, pass_time: Any) -> None:
    enqueue(EVENT, {})
    (stale,) = claiming.claim(10, sending.LEASE_S)
    attempt = sending.begin(stale)
    assert attempt
    pass_time(timedelta(seconds=sending.LEASE_S + 1))
    assert len(claiming.claim(10, sending.LEASE_S)) == 1
    sending.finish(stale, attempt, sending.Outcome(1, status=200))
    assert only_delivery().status == "pending"
    assert sending.begin(stale) is None


def test_p7_an_organizations_dead_endpoint_delays_no_other(
    endpoint: WebhookEndpoint, far_end: Receiver, other_end: Receiver, globex: Any, outsider: Any
) -> None:
    far_end.answer = far_end.silent
    for number in range(20):
        enqueue(EVENT, {"n": number})
    with tenancy.scope(globex.pk):
        services.create_endpoint(other_end.url, by=actor_of(outsider, "owner"))
        enqueue(EVENT, {"of": "globex"})
    claims = claiming.claim(dispatch.AT_ONCE, sending.LEASE_S)
    taken = [claim.organization_id for claim in claims]
    assert taken.count(globex.pk) == 1, "its turn comes at once, though 20 were waiting before it"
    assert taken.count(endpoint.organization_id) == 2, "an endpoint is called by two at a time"
    assert claiming.claim(dispatch.AT_ONCE, sending.LEASE_S) == []
    (own,) = [claim for claim in claims if claim.organization_id == globex.pk]
    Context().run(sending.execute, own)
    assert len(other_end.received) == 1


def test_only_what_an_endpoint_asked_for_is_sent(in_acme: Any, actor: Actor, far_end: Receiver) -> None:
    services.create_endpoint(far_end.url, by=actor, events=["job.succeeded"])
    enqueue("job.failed", {})
    enqueue("job.succeeded", {})
    dispatched()
    assert [json.loads(one.body)["type"] for one in far_end.received] == ["job.succeeded"]


def test_what_was_delivered_can_be_sent_again_with_its_id(
    endpoint: WebhookEndpoint, far_end: Receiver, actor: Actor
) -> None:
    enqueue(EVENT, {})
    dispatched()
    services.resend(only_delivery(), by=actor)
    dispatched()
    assert len(far_end.received) == 2
    assert len(set(far_end.ids())) == 1


def test_disabling_cancels_what_waits_and_enabling_sends_what_comes(
    endpoint: WebhookEndpoint, far_end: Receiver, actor: Actor
) -> None:
    enqueue(EVENT, {})
    services.disable_endpoint(endpoint, by=actor)
    dispatched()
    assert (only_delivery().status, far_end.received) == ("cancelled", [])
    services.enable_endpoint(endpoint, by=actor)
    services.send_test(endpoint, by=actor)
    dispatched()
    assert [json.loads(one.body)["type"] for one in far_end.received] == ["webhook.test"]


def test_an_effect_that_is_taken_back_sends_nothing(endpoint: WebhookEndpoint, far_end: Receiver) -> None:
    with transaction.atomic():
        enqueue(EVENT, {})
        transaction.set_rollback(True)
    assert dispatched() == 0
    assert far_end.received == []


def test_attempts_are_kept_for_30_days(endpoint: WebhookEndpoint, far_end: Receiver, pass_time: Any) -> None:
    enqueue(EVENT, {})
    dispatched()
    pass_time(timedelta(days=29))
    services.forget_old()
    assert DeliveryAttempt.objects.count() == 1
    pass_time(timedelta(days=2))
    services.forget_old()
    assert (DeliveryAttempt.objects.count(), Delivery.objects.count()) == (0, 0)
