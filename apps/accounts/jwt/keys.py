"""The keys that sign tokens: ES256, sealed at rest, rotated.

The newest key signs. An older one verifies until everything that it signed has expired.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, cast

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from jwt.algorithms import ECAlgorithm
from rest_framework_simplejwt.settings import api_settings

from apps.accounts.models import SigningKey
from apps.core import sealing
from apps.core.ids import uuid7

ROTATED_AFTER = timedelta(days=30)
# A process may sign with the key it remembers for a moment after another one was made.
VERIFIES_FOR = api_settings.REFRESH_TOKEN_LIFETIME + timedelta(hours=1)
REMEMBERED_FOR_S = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys in use as they were read: the one that signs, if there is one, and all that verify, by id."""

    signing_id: str
    private_key: EllipticCurvePrivateKey | None
    public_keys: Mapping[str, EllipticCurvePublicKey]
    read_at: float = field(default_factory=time.monotonic)

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.read_at < REMEMBERED_FOR_S


class _Memory:
    """What this process read last. Only what is committed is remembered: another process must know it too."""

    ring: KeyRing | None = None

    def current(self) -> KeyRing:
        return self.ring if self.ring and self.ring.is_fresh else self.read()

    def read(self) -> KeyRing:
        ring = _ring_of(SigningKey.objects.filter(_verifies()).order_by("-id"))
        transaction.on_commit(partial(setattr, self, "ring", ring))
        return ring


_memory = _Memory()


def forget() -> None:
    """Read the keys anew at the next use."""
    _memory.ring = None


def signing_key() -> tuple[str, EllipticCurvePrivateKey]:
    """The id of the key that signs, and the key; made when there is none."""
    ring = _memory.current()
    if ring.private_key is None:
        _make_missing()
        ring = _memory.read()
    return ring.signing_id, cast("EllipticCurvePrivateKey", ring.private_key)


def public_key(key_id: str) -> EllipticCurvePublicKey | None:
    """The key that verifies what `key_id` signed. An unknown id is looked up anew: another process may have made it."""
    return _memory.current().public_keys.get(key_id) or _memory.read().public_keys.get(key_id)


def public_key_set() -> dict[str, list[dict[str, Any]]]:
    """The keys that verify, as a JSON Web Key Set (RFC 7517)."""
    return {"keys": [_jwk(key_id, key) for key_id, key in _memory.current().public_keys.items()]}


@transaction.atomic
def rotate(*, at_once: bool = False) -> SigningKey:
    """Sign with a new key from now on. `at_once` ends what the older ones signed too, as after a leak."""
    _lock()
    key = _make()
    older = SigningKey.objects.exclude(pk=key.pk)
    older.filter(retires_at__lt=Now()).delete()
    if at_once:
        older.update(retires_at=Now())
    else:
        older.filter(retires_at__isnull=True).update(retires_at=Now() + VERIFIES_FOR)
    transaction.on_commit(forget)
    log.info("signing_key.rotated", key=key.pk, at_once=at_once)
    return key


@transaction.atomic
def rotate_when_due() -> SigningKey | None:
    """Rotate if the newest key is older than `ROTATED_AFTER`. While there is none yet, the first use makes it."""
    _lock()
    newest = SigningKey.objects.order_by("-id").first()
    is_due = newest and SigningKey.objects.filter(pk=newest.pk, created_at__lt=Now() - ROTATED_AFTER).exists()
    return rotate() if is_due else None


@transaction.atomic
def _make_missing() -> None:
    _lock()
    if _ring_of(SigningKey.objects.filter(_verifies()).order_by("-id")).private_key is None:
        _make()


def _make() -> SigningKey:
    private_key = generate_private_key(SECP256R1())
    key_id = uuid7().hex
    return SigningKey.objects.create(
        id=key_id,
        sealed_private_key=sealing.seal(_private_bytes(private_key), _place(key_id)),
        public_key=_public_text(private_key.public_key()),
    )


def _lock() -> None:
    """Held until the transaction ends, so that two processes never make a key each."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('accounts:signing-key', 0))")


def _verifies() -> Q:
    return Q(retires_at__isnull=True) | Q(retires_at__gt=Now())


def _ring_of(rows: Iterable[SigningKey]) -> KeyRing:
    """The ring of `rows`, newest first."""
    newest_first = list(rows)
    able = ((row.pk, _private_key_of(row)) for row in newest_first if row.retires_at is None)
    signing_id, private_key = next(((key_id, key) for key_id, key in able if key is not None), ("", None))
    return KeyRing(signing_id, private_key, {row.pk: _public_key_of(row) for row in newest_first})


def _private_key_of(row: SigningKey) -> EllipticCurvePrivateKey | None:
    try:
        pem = sealing.unseal(bytes(row.sealed_private_key), _place(row.pk))
    except sealing.Unsealable:  # the installation's key was changed since, so this one signs nothing any more
        return None
    return cast("EllipticCurvePrivateKey", serialization.load_pem_private_key(pem, password=None))


def _public_key_of(row: SigningKey) -> EllipticCurvePublicKey:
    return cast("EllipticCurvePublicKey", serialization.load_pem_public_key(row.public_key.encode()))


def _private_bytes(key: EllipticCurvePrivateKey) -> bytes:
    encoding, layout = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, layout, serialization.NoEncryption())


def _public_text(key: EllipticCurvePublicKey) -> str:
    layout = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, layout).decode()


def _place(key_id: str) -> str:
    return f"signing-key:{key_id}"


def _jwk(key_id: str, key: EllipticCurvePublicKey) -> dict[str, Any]:
    return {**json.loads(ECAlgorithm.to_jwk(key)), "kid": key_id, "use": "sig", "alg": "ES256"}
