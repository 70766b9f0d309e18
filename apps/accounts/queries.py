"""What a person sees of their account."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from apps.accounts import devices
from apps.accounts.models import Session, User
from apps.accounts.sessions import key_hash


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is signed in, as its person sees it."""

    session: Session
    device: str
    is_phone: bool
    is_current: bool


def browsers_of(user: User, current_key: str | None) -> list[SignedIn]:
    """Where the person is signed in: this browser (`current_key`) first, then the one seen last."""
    current = key_hash(current_key or "")
    rows = Session.objects.filter(user=user, expires_at__gt=timezone.now()).order_by("-last_seen_at")
    found = [
        SignedIn(row, devices.device(row.agent), devices.is_phone(row.agent), row.key_hash == current) for row in rows
    ]
    return sorted(found, key=lambda browser: not browser.is_current)
