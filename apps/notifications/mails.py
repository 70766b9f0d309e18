"""Mails about events, with the one-click unsubscription of RFC 8058 where they are optional."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings

from apps.accounts import mail
from apps.core import http
from apps.notifications import unsubscribing
from apps.notifications.catalogue import Event
from apps.organizations.models import Membership

ONE_CLICK = "List-Unsubscribe=One-Click"


def send(event: Event, member: Membership, subject_id: UUID, data: dict[str, Any]) -> None:
    """Mail one member, if the transaction commits."""
    stop_url = unsubscribing.url_for(member, event) if event.mail_is_optional else ""
    page = http.link(member.organization, event.page, *event.page_arguments(subject_id))
    context = {
        "event": event,
        "organization": member.organization,
        "title": " ".join(event.title_of(data).split()),
        # What people and programs wrote is one paragraph: a line of its own could pass for a link of ours.
        "text": " ".join(event.text_of(data).split()),
        "link": f"{settings.PUBLIC_URL}{page}",
        "stop_url": stop_url,
    }
    headers = {"List-Unsubscribe": f"<{stop_url}>", "List-Unsubscribe-Post": ONE_CLICK} if stop_url else {}
    zone = member.organization.time_zone
    mail.send("notifications/email/event", member.user.email, context, headers=headers, time_zone=zone)
