"""What a person is told in an organization, and what they wish to be told.

Both end with the membership (`receivers.py`), so nothing is left when an account is deleted.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.core import tenancy
from apps.notifications.enums import Channel
from apps.notifications.querysets import NotificationQuerySet


class Notification(tenancy.TenantModel):
    """One line of a person's inbox. Nobody else sees it. One that tells of several at once has no subject."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+")
    event = models.CharField(max_length=60)
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=500, blank=True)
    subject_id = models.UUIDField(null=True)
    number = models.PositiveIntegerField(default=1, help_text="How many times the event came about.")
    read_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(NotificationQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [
            models.Index(fields=["organization", "user", "-id"], name="notifications_newest"),
            models.Index(
                fields=["organization", "user"], name="notifications_unread", condition=Q(read_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_unread(self) -> bool:
        return self.read_at is None


class Preference(tenancy.TenantModel):
    """A person's own word on one event and channel. Where there is none, the catalogue's default holds."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, related_name="+")
    event = models.CharField(max_length=60)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    is_on = models.BooleanField()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user", "event", "channel"], name="notifications_preference_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.event} by {self.channel}: {'on' if self.is_on else 'off'}"
