"""Mails: our host in their links, our look, and kept for the operator where no server takes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail as django_mail
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from apps.accounts import mail, outbox, services
from apps.accounts.models import Mail, User
from tests.accounts.browsers import is_signed_in, link_in, mails_to, path_of, sign_in
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


@pytest.fixture
def kept_mails(settings: Any) -> None:
    settings.EMAIL_BACKEND = "apps.accounts.mail.KeptMailBackend"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end of the supervisor's pipe that it reads."""
    reading, writing = os.pipe()
    monkeypatch.setenv("TERMINAL_FD", str(writing))
    yield reading
    os.close(reading)
    os.close(writing)


def ask_for_reset(browser: Client, email: str, **options: Any) -> Any:
    return browser.post("/accounts/password/reset/", {"email": email}, **options)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts/password/reset/", {"email": "known@example.test"}),
        ("/accounts/password/reset/", {"email": "unknown@example.test"}),
        ("/accounts/signup/", {"email": "new@example.test", "password1": "another horse battery"}),
        ("/accounts/signup/", {"email": "known@example.test", "password1": "another horse battery"}),
    ],
)
def test_s8_a_forged_host_never_gets_into_a_mail(path: str, body: dict[str, str], client: Client) -> None:
    UserFactory(email="known@example.test")
    client.post(path, body, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    (message,) = mails_to(body["email"])
    assert link_in(message).startswith(f"{settings.PUBLIC_URL}/accounts/")
    assert "evil" not in message.body + str(message.alternatives[0].content) + message.subject


def test_a_mail_is_text_and_html_with_our_name_in_front(client: Client) -> None:
    ask_for_reset(client, "somebody@example.test")
    (message,) = django_mail.outbox
    html = str(message.alternatives[0].content)
    assert message.subject == "[Modelyard] There is no account for this address"
    assert f'<a class="button" href="{link_in(message)}">Sign up</a>' in html
    assert "example.com" not in html


def test_what_others_write_is_only_text_in_a_mail() -> None:
    context = {"from_email": "<b>x</b>@example.test", "to_email": "y@example.test", "timestamp": timezone.now()}
    message = mail.render("account/email/email_changed", "x@example.test", context)
    assert "<b>x</b>" in message.body
    assert "<b>x</b>" not in str(message.alternatives[0].content)


def test_what_others_write_makes_no_button_and_hides_none() -> None:
    ours = f"{settings.PUBLIC_URL}/invitations/x"
    name = "Acme: Labs\n\nPay at once: https://evil.test/\n\nOr go to: https://evil.test/: "
    text, forged, joined = mail.blocks(f"You are invited to {name}{ours}")
    assert (text.is_link, forged.is_link) == (False, False)
    assert (joined.label, joined.text) == ("Or go to: https://evil.test/", ours)
    assert mail.blocks(f"Join Acme: Labs: {ours}") == [mail.Block(ours, "Join Acme: Labs")]
    assert not mail.blocks(f"Join us: {settings.PUBLIC_URL}.evil.test/")[0].is_link


def test_what_others_write_does_nothing_to_the_terminal(terminal: int) -> None:
    mail.tell(EmailMessage("\x1b[2JHello\x07", "a\r\x9b2Jb\nc", to=["x@example.test"]))
    assert os.read(terminal, 10_000).decode() == "--- Mail to x@example.test: [2JHello\na2Jb\nc\n---\n"


def test_a_mail_is_sent_after_the_commit_only() -> None:
    context = {"password_reset_url": "https://modelyard.test/x"}
    with transaction.atomic():
        mail.send("account/email/password_reset_key", "person@example.test", context)
        assert django_mail.outbox == []
    assert len(django_mail.outbox) == 1
    with transaction.atomic():
        mail.send("account/email/password_reset_key", "person@example.test", context)
        transaction.set_rollback(True)
    assert len(django_mail.outbox) == 1


def test_a_mail_server_that_is_away_stops_nobody(settings: Any, client: Client) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = client.post("/accounts/signup/", {"email": "new@example.test", "password1": "another horse battery"})
    assert answer.status_code == 302
    assert User.objects.filter(email="new@example.test").exists()


def test_the_link_resets_the_password_once_and_logs_out_everywhere(client: Client) -> None:
    person = UserFactory()
    signed_in = Client()
    sign_in(signed_in, person.email)
    ask_for_reset(client, person.email)
    page = client.get(path_of(link_in(mails_to(person.email)[0])), follow=True)
    form = {"password1": "another horse battery", "password2": "another horse battery"}
    done = client.post(page.redirect_chain[-1][0], form, follow=True).content.decode()
    assert "Every browser was logged out." in done
    assert "Every other browser" not in done
    assert signed_in.get("/accounts/profile/").status_code == 302
    assert not is_signed_in(client)
    sign_in(client, person.email, "another horse battery")
    assert is_signed_in(client)
    again = Client().get(path_of(link_in(mails_to(person.email)[0])), follow=True)
    assert "does not work any more" in again.content.decode()
    assert "was reset" in mails_to(person.email)[1].subject


def test_a_mail_about_a_change_names_the_browser_in_words(client: Client) -> None:
    person = UserFactory()
    sign_in(client, person.email)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    body = {"oldpassword": PASSWORD, "password1": "another horse battery", "password2": "another horse battery"}
    client.post("/accounts/password/change/", body, headers={"User-Agent": agent})
    text = mails_to(person.email)[0].body
    assert "with Firefox on Linux." in text
    assert "Mozilla" not in text


def test_a_reset_says_how_long_its_link_works(client: Client) -> None:
    person = UserFactory()
    ask_for_reset(client, person.email)
    assert "for three days" in mails_to(person.email)[0].body
    assert timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT) == timedelta(days=3)


def test_s3_without_a_server_the_operator_reads_the_mail_and_a_dump_does_not(kept_mails: None, client: Client) -> None:
    person = UserFactory()
    ask_for_reset(client, person.email)
    row = Mail.objects.get()
    link = link_in(EmailMessage(body=outbox.content_of(row)["text"]))
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed_content FROM accounts_mail")
        assert link.encode() not in bytes(cursor.fetchone()[0])

    operator = Client()
    operator.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    assert row.subject in operator.get("/admin/accounts/mail/").content.decode()
    page = operator.get(f"/admin/accounts/mail/{row.pk}/change/").content.decode()
    assert f'href="{link}"' in page
    assert operator.post(f"/admin/accounts/mail/{row.pk}/change/", {"subject": "x"}).status_code == 403
    client.force_login(person)
    assert client.get(f"/admin/accounts/mail/{row.pk}/change/").status_code == 302


def test_a_kept_mail_is_told_in_the_terminal_and_in_no_log(
    kept_mails: None, terminal: int, client: Client, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ask_for_reset(client, UserFactory().email)
    link = link_in(EmailMessage(body=outbox.content_of(Mail.objects.get())["text"]))
    assert link in os.read(terminal, 10_000).decode()
    captured = capfd.readouterr()
    assert link not in captured.out + captured.err + caplog.text


def test_a_terminal_that_went_away_loses_no_mail(
    kept_mails: None, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setenv("TERMINAL_FD", str(writing))
    ask_for_reset(client, UserFactory().email)
    os.close(writing)
    assert Mail.objects.count() == 1


def test_kept_mails_are_forgotten_after_two_weeks() -> None:
    young, old = (mail.keep(EmailMessage(subject=name, to=["a@example.test"])) for name in ("young", "old"))
    Mail.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=15))
    services.forget_old()
    assert list(Mail.objects.all()) == [young]
