"""What a person wishes to be told."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from apps.core import tenancy
from apps.core.actors import Actor
from apps.notifications import catalogue
from apps.notifications.enums import Channel
from apps.notifications.errors import MailNotOptional
from apps.notifications.models import Preference
from apps.notifications.services.inbox import owner_of_inbox
from apps.notifications.unsubscribing import Subscription
from apps.organizations.models import Membership


@transaction.atomic
def set_preferences(wanted: Mapping[tuple[str, str], bool], *, by: Actor) -> list[Preference]:
    """Keep one's word on pairs of event and channel. Raises `UnknownEvent`, `MailNotOptional`, `InboxNeedsPerson`."""
    user_id = owner_of_inbox(by)
    _keep(user_id, wanted)
    rows = Preference.objects.filter(user_id=user_id)
    return [row for row in rows if (row.event, row.channel) in wanted]


def unsubscribe(subscription: Subscription) -> None:
    """Stop one kind of mail to one person; once more, or after they left, changes nothing. Raises `MailNotOptional`."""
    with tenancy.scope(subscription.organization_id), transaction.atomic():
        if Membership.objects.filter(user_id=subscription.user_id).exists():
            _keep(subscription.user_id, {(subscription.event.name, Channel.MAIL): False})


def _keep(user_id: UUID, wanted: Mapping[tuple[str, str], bool]) -> None:
    for (event, channel), is_on in wanted.items():
        if not is_on and not catalogue.get(event).is_optional(channel):
            raise MailNotOptional(field="event", event=event)
    Preference.objects.bulk_create(
        [
            Preference(user_id=user_id, event=catalogue.get(event).name, channel=channel, is_on=is_on)
            for (event, channel), is_on in wanted.items()
        ],
        update_conflicts=True,
        unique_fields=["organization", "user", "event", "channel"],
        update_fields=["is_on"],
    )
