"""What lower apps and Django tell organizations (docs/signals.md)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from apps.accounts.models import User
from apps.organizations import services


@receiver(post_save, sender=User)
def publish_their_tokens(
    sender: Any, instance: User, created: bool, update_fields: Collection[str] | None, **_: Any
) -> None:
    if not created and (update_fields is None or "is_active" in update_fields):
        services.publish_tokens_of(instance)
