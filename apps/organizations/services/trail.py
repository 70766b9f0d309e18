"""The line that every change leaves in the trail."""

from __future__ import annotations

from typing import Any

from apps.core.actors import Actor
from apps.organizations.signals import action_taken


def tell(actor: Actor, action: str, subject: Any, changes: dict[str, Any]) -> None:
    action_taken.send(sender=type(subject), actor=actor, action=action, subject=subject, changes=changes)
