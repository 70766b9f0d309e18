"""Mails: rendered in our look, put into the outbox, and kept for the operator where no mail server is set."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from apps.accounts import outbox
from apps.accounts.enums import MailStatus
from apps.accounts.models import Mail, User

SENT_BY_US = {"Auto-Submitted": "auto-generated"}  # RFC 3834: no out-of-office note answers it
LINK = re.compile(r"(?P<label>.{3,80}):\s+(?P<url>https?://\S+)")


def send(
    template: str, to: str, context: dict[str, Any], *, headers: Mapping[str, str] | None = None, time_zone: str = "UTC"
) -> Mail:
    """Mail `<template>_subject.txt` with `<template>_message.txt` to one person, if the transaction commits.

    Its times are those of the person's zone, or of `time_zone` if there is none.
    """
    return post(render(template, to, context, headers=headers, time_zone=time_zone))


def post(message: EmailMessage) -> Mail:
    """Put a mail into the outbox; it leaves once the transaction commits, and as soon as its server is there."""
    if not outbox.has_server():
        return keep(message)
    row = outbox.put(message, MailStatus.WAITING)
    transaction.on_commit(outbox.ring)
    return row


def render(
    template: str, to: str, context: dict[str, Any], *, headers: Mapping[str, str] | None = None, time_zone: str = "UTC"
) -> EmailMultiAlternatives:
    """The mail as text and, from that text, as HTML."""
    context = {**context, "email": to, "site_name": settings.SITE_NAME, "site_url": settings.PUBLIC_URL}
    with timezone.override(_time_zone_of(to) or time_zone):
        subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
        text = render_to_string(f"{template}_message.txt", context).strip()
    subject = f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}"
    message = EmailMultiAlternatives(
        subject, text, settings.DEFAULT_FROM_EMAIL, [to], headers={**SENT_BY_US, **(headers or {})}
    )
    shown = blocks(text)
    button = next((block for block in shown if block.is_link), None)
    page = {"subject": subject, "blocks": shown, "button": button, "site_url": settings.PUBLIC_URL}
    message.attach_alternative(render_to_string("accounts/mail.html", page), "text/html")
    return message


def _time_zone_of(address: str) -> str:
    return User.objects.filter(email=address.lower()).values_list("time_zone", flat=True).first() or ""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph of a mail, or a link with what it is called."""

    text: str
    label: str = ""

    @property
    def is_link(self) -> bool:
        return bool(self.label)


def blocks(text: str) -> list[Block]:
    """The paragraphs of `text`. A line `Label: https://...` by itself is a link of that name, if it leads to us.

    The first one is the mail's button; those behind it are plain.
    """
    paragraphs = (paragraph.strip() for paragraph in text.split("\n\n"))
    return [_block(paragraph) for paragraph in paragraphs if paragraph]


def _block(paragraph: str) -> Block:
    found = LINK.fullmatch(paragraph)
    # What people call things stands in mails too, and shall make no buttons of its own.
    is_ours = found is not None and found["url"].startswith(f"{settings.PUBLIC_URL}/")
    return Block(found["url"], found["label"]) if found and is_ours else Block(paragraph)


class KeptMailBackend(BaseEmailBackend):
    """Keeps mails that no server takes: sealed in the database, and told in the terminal of `make up`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            keep(message)
        return len(email_messages)


def keep(message: EmailMessage) -> Mail:
    """Leave a mail to the operator, and tell it in the terminal once the transaction commits."""
    transaction.on_commit(partial(tell, message))
    return outbox.put(message, MailStatus.KEPT)


def tell(message: EmailMessage) -> None:
    """Show it to whoever watches the terminal: through the supervisor's pipe, never through a log."""
    terminal = os.environ.get("TERMINAL_FD")
    if terminal is None:
        return
    shown = f"--- Mail to {', '.join(message.recipients())}: {message.subject}\n{message.body}\n---\n"
    # A terminal that went away, or does not read, takes nobody's mail: it is kept for the operator's console.
    with suppress(OSError):
        os.write(int(terminal), _plain(shown).encode())


def _plain(text: str) -> str:
    """Without what a terminal obeys: people write some of what stands in mails."""
    return "".join(sign for sign in text if sign == "\n" or unicodedata.category(sign) != "Cc")
