"""Mails about events, with the one-click unsubscription of RFC 8058 where they are optional."""

from __future__ import annotations

from django.conf import settings

from apps.accounts import mail
from apps.notifications import unsubscribing
from apps.notifications.catalogue import Event
from apps.notifications.lines import Line
from apps.organizations.models import Membership

ONE_CLICK = "List-Unsubscribe=One-Click"


def send(event: Event, member: Membership, line: Line) -> None:
    """Mail one member, if the transaction commits."""
    stop_url = unsubscribing.url_for(member, event) if event.mail_is_optional else ""
    context = {
        "event": event,
        "organization": member.organization,
        "title": " ".join(line.title.split()),
        # What people and programs wrote is one paragraph: a line of its own could pass for a link of ours.
        "text": " ".join(line.text.split()),
        "link": f"{settings.PUBLIC_URL}{event.address(member.organization, line.subject_id)}",
        "stop_url": stop_url,
    }
    headers = {"List-Unsubscribe": f"<{stop_url}>", "List-Unsubscribe-Post": ONE_CLICK} if stop_url else {}
    zone = member.organization.time_zone
    mail.send("notifications/email/event", member.user.email, context, headers=headers, time_zone=zone)
