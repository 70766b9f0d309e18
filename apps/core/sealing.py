"""Secrets at rest: sealed with a key that is not in the database, and bound to the place where they lie."""

from __future__ import annotations

from django.conf import settings

from apps.core import seals
from apps.core.seals import Unsealable

__all__ = ["Unsealable", "key_for", "seal", "unseal"]


def seal(content: bytes, place: str) -> bytes:
    """`content`, which nobody can read or move to another `place` without SECRET_KEY."""
    return seals.seal(content, place, settings.SECRET_KEY)


def unseal(sealed: bytes, place: str) -> bytes:
    """What `seal` was given. Raises `Unsealable`."""
    return seals.unseal(sealed, place, settings.SECRET_KEY)


def key_for(purpose: str) -> bytes:
    """32 bytes derived from SECRET_KEY, so that what serves one purpose opens nothing of another."""
    return seals.key_for(purpose, settings.SECRET_KEY)
