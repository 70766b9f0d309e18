"""What a seal is, for whoever has the secret: AES-256-GCM, bound to a place. Imports no Django: the data plane opens
the keys of providers. Everybody else goes through `core.sealing`, which has the secret.
"""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Unsealable(Exception):
    """Sealed under another key or for another place, or changed since."""


def seal(content: bytes, place: str, secret: str) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + _cipher(secret).encrypt(nonce, content, place.encode())


def unseal(sealed: bytes, place: str, secret: str) -> bytes:
    """What `seal` was given. Raises `Unsealable`."""
    try:
        return _cipher(secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
    except InvalidTag:
        raise Unsealable from None


def key_for(purpose: str, secret: str) -> bytes:
    """32 bytes derived from the secret, so that what serves one purpose opens nothing of another."""
    return hmac.digest(secret.encode(), f"modelyard {purpose}".encode(), "sha256")


def _cipher(secret: str) -> AESGCM:
    return AESGCM(key_for("sealing", secret))
