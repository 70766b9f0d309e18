"""What lower apps tell the trail (docs/signals.md)."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.audit import services
from apps.organizations.signals import action_taken


@receiver(action_taken)
def record_action(sender: Any, actor: Any, action: str, subject: Any, changes: dict[str, Any], **_: Any) -> None:
    services.record(actor, action, subject, changes)
