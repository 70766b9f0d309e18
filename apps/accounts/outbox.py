"""The outbox: mails are rows until a server has taken them.

A mail exists if and only if what it tells of was committed. It is sent once its server is there again within 72 hours;
whatever is sent twice, after a crash between sending and marking, carries the same Message-ID.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from email.utils import format_datetime
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPResponseException
from typing import Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.enums import MailStatus
from apps.accounts.errors import MailNotResendable, NoMailServer
from apps.accounts.models import Mail
from apps.core import doorbells
from apps.core.sealing import Unsealable, seal, unseal

FIRST_DELAYS = [timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30)]
DELAYS = [*FIRST_DELAYS, *[timedelta(hours=1)] * 72]
MAX_ATTEMPTS = len(DELAYS) + 1
LEASE = timedelta(minutes=5)  # longer than a server may take that answers each command just before EMAIL_TIMEOUT
# What a server refuses may stand in its answer: links with keys in them, for one.
LINK_OR_KEY = re.compile(r"\S*://\S*|\S{25,}")

log = structlog.get_logger(__name__)


def has_server() -> bool:
    return settings.EMAIL_BACKEND != "apps.accounts.mail.KeptMailBackend"


def put(message: EmailMessage, status: MailStatus) -> Mail:
    """Write the mail down, in the caller's transaction, so that only SECRET_KEY opens its content."""
    row = Mail(to=message.recipients(), subject=message.subject[:300], status=status)
    row.message_id = f"<{row.pk}@{urlsplit(settings.PUBLIC_URL).hostname}>"
    row.sealed_content = seal(json.dumps(_content(message)).encode(), _place(row))
    row.save()
    return row


def _content(message: EmailMessage) -> dict[str, Any]:
    html = [str(part.content) for part in getattr(message, "alternatives", ()) if part.mimetype == "text/html"]
    headers = {name: str(value) for name, value in message.extra_headers.items()}
    return {"sender": message.from_email, "text": str(message.body), "html": "".join(html), "headers": headers}


def _place(row: Mail) -> str:
    return f"mail {row.pk}"


def content_of(row: Mail) -> dict[str, Any]:
    """`sender`, `text`, `html` and `headers`. Raises `Unsealable`, as for a mail whose content was forgotten."""
    return json.loads(unseal(bytes(row.sealed_content), _place(row)))


def message_of(row: Mail) -> EmailMultiAlternatives:
    """The same message at every attempt."""
    content = content_of(row)
    headers = {**content["headers"], "Message-ID": row.message_id, "Date": format_datetime(row.created_at)}
    message = EmailMultiAlternatives(row.subject, content["text"], content["sender"], row.to, headers=headers)
    if content["html"]:
        message.attach_alternative(content["html"], "text/html")
    return message


def ring() -> None:
    """Tell a worker to look."""
    from apps.accounts.tasks import send_mails

    doorbells.ring(send_mails)


def send_due() -> None:
    """Send what is due until nothing is left, or the server is away: one mail at a time finds out when it is back."""
    while (row := claim()) is not None:
        if not _attempt(row):
            break


@transaction.atomic
def claim() -> Mail | None:
    """The mail that has been due for longest, which nobody else gets before the lease runs out."""
    is_free = Q(lease_until=None) | Q(lease_until__lt=Now())
    due = Mail.objects.filter(is_free, status=MailStatus.WAITING, next_attempt_at__lte=Now())
    row = due.select_for_update(skip_locked=True).order_by("next_attempt_at", "pk").first()
    if row is not None:
        row.attempts += 1
        row.lease_until = Now() + LEASE
        row.save(update_fields=["attempts", "lease_until"])
        row.refresh_from_db(fields=["lease_until"])
    return row


def _attempt(row: Mail) -> bool:
    """Whether the server was there, be it to refuse this mail."""
    if not has_server():
        _settle(row, status=MailStatus.KEPT)
        return True
    if row.attempts > MAX_ATTEMPTS:
        _fail(row, "Every attempt was interrupted.")
        return True
    try:
        message_of(row).send()
    except (SMTPRecipientsRefused, SMTPDataError) as refusal:
        answers = _answers(refusal)
        is_final = all(code >= 500 for code, _ in answers)
        put_off = _fail if is_final else _put_off
        put_off(row, _in_words(answers))
    except OSError as error:
        _put_off(row, _reason(error))
        return False
    except Unsealable:
        _fail(row, "It was sealed under another SECRET_KEY.")
    except ValueError:
        _fail(row, "Its address or a header of it cannot be written as a mail.")
    else:
        _mark_sent(row)
    return True


def _answers(refusal: SMTPRecipientsRefused | SMTPDataError) -> list[tuple[int, bytes | str]]:
    if isinstance(refusal, SMTPRecipientsRefused):
        return list(refusal.recipients.values())
    return [(refusal.smtp_code, refusal.smtp_error)]


def _reason(error: OSError) -> str:
    if isinstance(error, SMTPResponseException):
        return _in_words([(error.smtp_code, error.smtp_error)])
    return f"Not reached: {error.strerror or type(error).__name__}."


def _in_words(answers: list[tuple[int, bytes | str]]) -> str:
    """What the server said, as the operator may read it."""
    texts = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text for _, text in answers)
    said = "; ".join(f"{code} {text}" for (code, _), text in zip(answers, texts, strict=True))
    return f"Refused: {LINK_OR_KEY.sub('***', said)}"[:500]


def _mark_sent(row: Mail) -> None:
    """Its content is forgotten: the links in it are the recipient's alone."""
    _settle(row, status=MailStatus.SENT, sent_at=Now(), last_error="", sealed_content=b"")


def _put_off(row: Mail, reason: str) -> None:
    if row.attempts == MAX_ATTEMPTS:
        _fail(row, reason)
        return
    log.warning("mail_put_off", mail=str(row.pk), attempts=row.attempts, reason=reason)
    _settle(row, next_attempt_at=Now() + DELAYS[row.attempts - 1], last_error=reason)


def _fail(row: Mail, reason: str) -> None:
    log.error("mail_failed", mail=str(row.pk), attempts=row.attempts, reason=reason)
    _settle(row, status=MailStatus.FAILED, last_error=reason)


def _settle(row: Mail, **changes: Any) -> None:
    """Write what came of the attempt, unless its lease has run out and somebody else tries."""
    Mail.objects.filter(pk=row.pk, lease_until=row.lease_until).update(lease_until=None, **changes)


@transaction.atomic
def resend(row: Mail) -> Mail:
    """Begin anew with a mail that failed or was kept. Raises `NoMailServer` and `MailNotResendable`."""
    row = Mail.objects.select_for_update().get(pk=row.pk)
    if not has_server():
        raise NoMailServer
    if row.status not in (MailStatus.FAILED, MailStatus.KEPT):
        raise MailNotResendable(status=row.get_status_display().lower())
    row.status, row.attempts, row.last_error, row.next_attempt_at = MailStatus.WAITING, 0, "", Now()
    row.save(update_fields=["status", "attempts", "last_error", "next_attempt_at"])
    transaction.on_commit(ring)
    return row
