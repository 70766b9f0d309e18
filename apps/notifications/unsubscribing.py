"""Links that stop one kind of mail to one person, without signing in (RFC 8058)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.urls import reverse

from apps.notifications.catalogue import EVENTS, Event
from apps.notifications.errors import UnsubscribeLinkInvalid
from apps.organizations.models import Membership

SALT = "notifications.unsubscribe"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One kind of mail of one organization to one person."""

    organization_id: UUID
    user_id: UUID
    event: Event


def url_for(member: Membership, event: Event) -> str:
    """The link that stops mails of `event` to the member. It does not expire, as the mail does not."""
    token = signing.dumps([member.organization_id.hex, member.user_id.hex, event.name], salt=SALT)
    return f"{settings.PUBLIC_URL}{reverse('unsubscribe:unsubscribe', args=[token])}"


def subscription_of(token: str) -> Subscription:
    """What a link is about. Raises `UnsubscribeLinkInvalid`."""
    try:
        organization, user, event = signing.loads(token, salt=SALT)
        return Subscription(UUID(organization), UUID(user), EVENTS[event])
    except (signing.BadSignature, KeyError):
        raise UnsubscribeLinkInvalid from None
