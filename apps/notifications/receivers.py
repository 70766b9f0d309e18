"""What lower apps tell people of (docs/signals.md)."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.core.actors import Actor
from apps.notifications import services
from apps.notifications.services import webhooks
from apps.organizations.models import ApiToken, Membership
from apps.organizations.signals import action_taken


@receiver(action_taken)
def tell_of_newcomer(sender: Any, actor: Actor, action: str, changes: dict[str, Any], **_: Any) -> None:
    if action == "invitation.accepted":
        newcomer = Membership.objects.get(user_id=actor.user_id)
        services.notify("member.joined", newcomer, changes, but=actor.user_id)


@receiver(action_taken)
def tell_of_role(sender: Any, actor: Actor, action: str, subject: Any, changes: dict[str, Any], **_: Any) -> None:
    if action == "member.role_changed":
        previous_role, role = changes["role"]
        data = {"email": changes["email"], "role": role, "previous_role": previous_role, "by": actor.label}
        services.notify("member.role_changed", subject, data, to=[subject.user_id], but=actor.user_id)


@receiver(action_taken)
def forget_leaver(sender: Any, action: str, subject: Any, **_: Any) -> None:
    if action in {"member.removed", "member.left"}:
        services.forget_person(subject.user_id)


@receiver(action_taken)
def send_what_waited(sender: Any, action: str, **_: Any) -> None:
    if action in {"organization.resumed", "organization.deletion_cancelled"}:
        webhooks.send_waiting()


@receiver(action_taken)
def tell_of_token(sender: Any, actor: Actor, action: str, subject: Any, changes: dict[str, Any], **_: Any) -> None:
    if action == "token.created" and isinstance(subject, ApiToken):
        person = subject.membership.user_id if subject.membership else None
        services.notify("token.created", subject, {**changes, "by": actor.label}, to=[person])
