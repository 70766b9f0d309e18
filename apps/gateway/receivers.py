"""What the gateway does when something below it happens (docs/signals.md)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.dispatch import receiver

from apps.core.actors import Actor
from apps.gateway import services
from apps.organizations.signals import action_taken


@receiver(action_taken)
def offer_local_model(sender: Any, actor: Actor, action: str, **_: Any) -> None:
    """A new organization can call a model at once, where the installation runs one."""
    if action == "organization.created" and settings.LLM_URL:
        services.add_local_model(by=actor)
