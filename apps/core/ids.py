"""Identifiers that sort by the time they were made."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid
from datetime import UTC, datetime, timedelta

NS_PER_MS = 1_000_000
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(at: datetime | None = None) -> uuid.UUID:
    """A version 7 UUID: 48 bits of Unix milliseconds, 12 bits of their fraction, 62 random bits; of now, or of `at`.

    The fraction (RFC 9562, 6.2, method 3) keeps rows in order that are made within one millisecond.
    """
    milliseconds, rest = divmod(time.time_ns() if at is None else _nanoseconds(at), NS_PER_MS)
    fraction = (rest << 12) // NS_PER_MS
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0x2 << 62) | secrets.randbits(62)
    return uuid.UUID(int=value)


def least_uuid7(at: datetime, shift: timedelta = timedelta()) -> uuid.UUID:
    """The smallest UUID that a version 7 UUID of that millisecond, shifted, can be (RFC 9562, 5.7)."""
    return uuid.UUID(int=max(_nanoseconds(at) // NS_PER_MS + shift // MILLISECOND, 0) << 80)


def derived_uuid7(at: datetime, name: str) -> uuid.UUID:
    """The version 7 UUID of what is called `name` and happened at `at`: the same again for the same two.

    PostgreSQL makes the same by `usage_derived_id`.
    """
    hashed = hashlib.sha256(name.encode()).hexdigest()
    return uuid.UUID(hex=f"{_nanoseconds(at) // NS_PER_MS:012x}7{hashed[:3]}8{hashed[3:18]}")


def _nanoseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1000
