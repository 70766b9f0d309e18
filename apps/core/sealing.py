"""Secrets at rest: sealed with a key that is not in the database, and bound to the place where they lie."""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

NONCE_BYTES = 12


class Unsealable(Exception):
    """Sealed under another key or for another place, or changed since."""


def seal(content: bytes, place: str) -> bytes:
    """`content`, which nobody can read or move to another `place` without SECRET_KEY (AES-256-GCM)."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, content, place.encode())


def unseal(sealed: bytes, place: str) -> bytes:
    """What `seal` was given. Raises `Unsealable`."""
    try:
        return _cipher().decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
    except InvalidTag:
        raise Unsealable from None


def key_for(purpose: str) -> bytes:
    """32 bytes derived from SECRET_KEY, so that what serves one purpose opens nothing of another."""
    return hmac.digest(settings.SECRET_KEY.encode(), f"modelyard {purpose}".encode(), "sha256")


def _cipher() -> AESGCM:
    return AESGCM(key_for("sealing"))
