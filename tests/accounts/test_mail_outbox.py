"""The outbox: a mail arrives once its server is there again, whatever happened meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone
from kombu import Connection

from apps.accounts import errors, mail, outbox, services
from apps.accounts.models import Mail, User
from apps.core.sealing import seal
from tests.stand_ins import smtp
from workers.celery import app

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

RING = outbox.ring  # the tests' own sender takes its place
LINK = f"{django_settings.PUBLIC_URL}/accounts/password/reset/key/9x-c2f4b8e6a1d3/"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


class Killed(BaseException):
    """The sender's process is gone."""


@pytest.fixture(autouse=True)
def no_sender(monkeypatch: pytest.MonkeyPatch, prompt_sender: None) -> list[str]:
    """Nobody sends but the test; how often a worker was rung for."""
    rings: list[str] = []
    monkeypatch.setattr(outbox, "ring", lambda: rings.append("ring"))
    return rings


@pytest.fixture
def server(settings: Any) -> Iterator[smtp.MailServer]:
    with smtp.bound() as mail_server:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", mail_server.port
        yield mail_server


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


def put(to: str = "person@example.test", **options: Any) -> Mail:
    context = {"password_reset_url": LINK}
    return mail.send("account/email/password_reset_key", to, context, **options)


def status_of(row: Mail) -> str:
    return Mail.objects.get(pk=row.pk).status


def attempts_of(row: Mail) -> int:
    return Mail.objects.get(pk=row.pk).attempts


def pass_time(span: timedelta) -> None:
    """Move the clock: every time that decides in the outbox lies `span` further back."""
    times = {name: F(name) - span for name in ("next_attempt_at", "lease_until")}
    Mail.objects.update(**times)


def live(span: timedelta, *, step: timedelta = timedelta(minutes=1)) -> None:
    """Let `span` go by, with beat looking at each `step`."""
    for _ in range(span // step):
        pass_time(step)
        outbox.send_due()


def test_a_mail_leaves_as_text_and_html_with_its_headers(server: smtp.MailServer) -> None:
    server.start()
    row = put(headers={"List-Unsubscribe": "<https://modelyard.test/u>"})
    outbox.send_due()
    (message,) = server.received
    assert (message["To"], message["Subject"]) == ("person@example.test", row.subject)
    assert (message["Message-ID"], message["Auto-Submitted"]) == (row.message_id, "auto-generated")
    assert message["List-Unsubscribe"] == "<https://modelyard.test/u>"
    text, html = (message.get_body([kind]) for kind in ("plain", "html"))
    assert text is not None
    assert LINK in text.get_content()
    assert html is not None
    assert f'href="{LINK}"' in html.get_content()


def test_a_mail_exists_only_if_what_it_tells_of_does(server: smtp.MailServer, no_sender: list[str]) -> None:
    with transaction.atomic():
        put()
        transaction.set_rollback(True)
    assert (Mail.objects.count(), no_sender) == (0, [])
    with transaction.atomic():
        put()
        assert no_sender == []
    assert (Mail.objects.get().status, no_sender) == ("waiting", ["ring"])


def test_p4_a_mail_arrives_once_after_its_server_was_away_for_an_hour(server: smtp.MailServer) -> None:
    row = put()
    outbox.send_due()
    live(timedelta(hours=1))
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("waiting", 5)
    assert row.last_error == "Not reached: Connection refused."
    server.start()
    live(timedelta(hours=1))
    row.refresh_from_db()
    assert (row.status, row.attempts, row.last_error) == ("sent", 6, "")
    assert [message["Message-ID"] for message in server.received] == [row.message_id]


def test_p4_attempts_go_on_for_three_days_and_are_then_given_up(server: smtp.MailServer) -> None:
    assert [delay.total_seconds() for delay in outbox.DELAYS[:6]] == [5, 60, 300, 1800, 3600, 3600]
    assert timedelta(hours=72) <= sum(outbox.DELAYS, timedelta(0)) < timedelta(hours=73)
    row = put()
    outbox.send_due()
    live(outbox.DELAYS[0], step=outbox.DELAYS[0])
    for attempts, delay in enumerate(outbox.DELAYS[1:], start=2):
        assert (status_of(row), attempts_of(row)) == ("waiting", attempts)
        live(delay, step=delay / 2)
    assert (status_of(row), attempts_of(row)) == ("failed", outbox.MAX_ATTEMPTS)
    live(timedelta(hours=2), step=timedelta(hours=1))
    assert attempts_of(row) == outbox.MAX_ATTEMPTS


def test_a_mail_waits_before_it_is_tried_again(server: smtp.MailServer) -> None:
    row = put()
    outbox.send_due()
    live(outbox.DELAYS[0], step=outbox.DELAYS[0])
    pass_time(outbox.DELAYS[1] / 2)
    outbox.send_due()
    assert attempts_of(row) == 2
    pass_time(outbox.DELAYS[1] / 2)
    outbox.send_due()
    assert attempts_of(row) == 3


def test_one_mail_at_a_time_finds_out_that_the_server_is_away(server: smtp.MailServer) -> None:
    rows = [put(f"p{index}@example.test") for index in range(3)]
    outbox.send_due()
    assert sorted(Mail.objects.values_list("attempts", flat=True)) == [0, 0, 1]
    server.start()
    live(timedelta(minutes=1))
    assert {message["Message-ID"] for message in server.received} == {row.message_id for row in rows}


def test_p4_what_was_sent_but_not_marked_is_sent_again_with_the_same_id(
    server: smtp.MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(row: Mail) -> None:
        raise Killed

    server.start()
    row = put()
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(outbox, "_mark_sent", die)
        outbox.send_due()
    outbox.send_due()
    assert len(server.received) == 1, "nobody else tries before the lease has run out"
    pass_time(outbox.LEASE)
    outbox.send_due()
    assert [message["Message-ID"] for message in server.received] == [row.message_id] * 2
    assert [message["Date"] for message in server.received[1:]] == [server.received[0]["Date"]]
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("sent", 2)


def test_p4_a_server_that_hangs_up_before_its_answer_is_asked_again(server: smtp.MailServer) -> None:
    server.start()
    server.hangs_up = True
    row = put()
    outbox.send_due()
    server.hangs_up = False
    live(timedelta(minutes=1))
    assert [message["Message-ID"] for message in server.received] == [row.message_id] * 2
    assert Mail.objects.get().status == "sent"


def test_p10_two_senders_at_once_send_each_mail_once(server: smtp.MailServer) -> None:
    server.start()
    rows = [put(f"p{index}@example.test") for index in range(20)]
    barrier = threading.Barrier(2)

    def send() -> None:
        barrier.wait()
        outbox.send_due()
        connection.close()

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(message["Message-ID"] for message in server.received) == sorted(row.message_id for row in rows)
    assert set(Mail.objects.values_list("status", "attempts")) == {("sent", 1)}


def test_a_sender_whose_lease_ran_out_marks_nothing(server: smtp.MailServer) -> None:
    put()
    slow = outbox.claim()
    assert slow is not None
    pass_time(outbox.LEASE)
    assert outbox.claim() == slow
    outbox._put_off(slow, "too late")
    assert Mail.objects.get().last_error == ""


def test_a_mail_that_is_refused_for_good_fails_at_once_and_stops_no_other(server: smtp.MailServer) -> None:
    server.start()
    server.refusals = {
        "RCPT TO:<gone@example.test>": "550 5.1.1 No such user",
        "RCPT TO:<grey@example.test>": "450 Later",
    }
    gone, grey, fine = (put(f"{name}@example.test") for name in ("gone", "grey", "fine"))
    outbox.send_due()
    gone.refresh_from_db()
    assert (gone.status, gone.last_error) == ("failed", "Refused: 550 5.1.1 No such user")
    assert (status_of(grey), attempts_of(grey), status_of(fine)) == ("waiting", 1, "sent")
    server.refusals = {}
    live(timedelta(minutes=1))
    assert status_of(grey) == "sent"


def test_s3_a_servers_answer_leaves_no_link_in_the_row(
    server: smtp.MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.start()
    key = LINK.split("/")[-2]
    server.refusals = {"DATA": f"554 5.7.1 Blocked for {LINK} and a-key-of-32-letters-{key}"}
    row = put()
    outbox.send_due()
    row.refresh_from_db()
    assert row.last_error == "Refused: 554 5.7.1 Blocked for *** and ***"
    assert key not in caplog.text


def test_s3_a_mail_that_was_taken_is_forgotten_but_for_its_envelope(server: smtp.MailServer, operator: Client) -> None:
    server.start()
    row = put()
    assert LINK.encode() not in bytes(row.sealed_content)
    waiting = operator.get(f"/admin/accounts/mail/{row.pk}/change/").content.decode()
    outbox.send_due()
    row.refresh_from_db()
    sent = operator.get(f"/admin/accounts/mail/{row.pk}/change/").content.decode()
    assert bytes(row.sealed_content) == b""
    for page in (waiting, sent):
        assert row.message_id.strip("<>") in page
        assert LINK not in page


def test_an_address_that_is_none_fails_and_stops_no_other(server: smtp.MailServer) -> None:
    server.start()
    broken, fine = put("a\nb@example.test"), put()
    outbox.send_due()
    assert [status_of(row) for row in (broken, fine)] == ["failed", "sent"]


def test_a_mail_under_another_secret_fails_and_says_so(server: smtp.MailServer, settings: Any) -> None:
    put()
    settings.SECRET_KEY = "another secret, of which nobody knows"
    outbox.send_due()
    row = Mail.objects.get()
    assert (row.status, row.last_error) == ("failed", "It was sealed under another SECRET_KEY.")


def test_the_operator_sees_what_failed_and_sends_it_again(
    server: smtp.MailServer, operator: Client, no_sender: list[str]
) -> None:
    server.start()
    server.refusals = {"RCPT": "550 5.7.1 Relaying denied"}
    row = put()
    outbox.send_due()
    page = operator.get("/admin/accounts/mail/?status__exact=failed").content.decode()
    assert "Relaying denied" in page
    server.refusals, no_sender[:] = {}, []
    chosen = {"action": "send_again", "_selected_action": [str(row.pk)]}
    assert (
        "on its way to person@example.test"
        in operator.post("/admin/accounts/mail/", chosen, follow=True).content.decode()
    )
    assert no_sender == ["ring"]
    outbox.send_due()
    assert Mail.objects.get().status == "sent"
    again = operator.post("/admin/accounts/mail/", chosen, follow=True).content.decode()
    assert "Only mails that failed or were kept are sent again. This one is sent." in again
    assert len(server.received) == 1


def test_the_operator_finds_a_mail_by_its_recipient_or_its_id(server: smtp.MailServer, operator: Client) -> None:
    wanted, other = put("mara@example.test"), put("lee@example.test")
    for term in ("Mara@example.test", wanted.message_id):
        page = operator.get("/admin/accounts/mail/", {"q": term}).content.decode()
        assert str(wanted.pk) in page
        assert str(other.pk) not in page


def test_without_a_server_nothing_is_sent_again(server: smtp.MailServer, settings: Any) -> None:
    settings.EMAIL_BACKEND = "apps.accounts.mail.KeptMailBackend"
    row = put()
    assert row.status == "kept"
    with pytest.raises(errors.NoMailServer):
        outbox.resend(row)
    settings.EMAIL_BACKEND = SMTP
    server.start()
    outbox.resend(row)
    outbox.send_due()
    assert len(server.received) == 1


def test_what_waits_when_the_server_is_taken_away_is_kept(server: smtp.MailServer, settings: Any) -> None:
    row = put()
    settings.EMAIL_BACKEND = "apps.accounts.mail.KeptMailBackend"
    outbox.send_due()
    row.refresh_from_db()
    assert (row.status, Mail.objects.count()) == ("kept", 1)
    assert LINK in outbox.content_of(row)["text"]


def test_a_mail_that_waits_is_never_forgotten(server: smtp.MailServer) -> None:
    waiting, failed = put(), put()
    Mail.objects.filter(pk=failed.pk).update(status="failed")
    Mail.objects.update(created_at=timezone.now() - timedelta(days=15))
    services.forget_old()
    assert list(Mail.objects.all()) == [waiting]


def test_a_ring_reaches_the_workers_queue_of_mails(db: None) -> None:
    with Connection(app.conf.broker_url) as broker, broker.SimpleQueue("notify") as queue:
        queue.clear()
        RING()
        message = queue.get(timeout=10)
        message.ack()
    assert message.headers["task"] == "accounts.send_mails"
    assert "accounts.send_mails" in {tick["task"] for tick in app.conf.beat_schedule.values()}


def test_mails_that_were_kept_before_there_was_an_outbox_stay_readable() -> None:
    kept, lost = (put(), put())
    for row in (kept, lost):
        row.sealed_content = seal(b"Open https://modelyard.test/", f"kept mail {kept.pk}")
        row.save()
    migration = import_module("apps.accounts.migrations.0004_mail_outbox")
    migration.seal_anew(apps, SimpleNamespace(connection=connection))
    row = Mail.objects.get()
    assert (row.pk, outbox.content_of(row)["text"]) == (kept.pk, "Open https://modelyard.test/")
