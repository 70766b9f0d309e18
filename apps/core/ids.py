"""Identifiers that sort by the time they were made."""

import secrets
import time
import uuid

NS_PER_MS = 1_000_000


def uuid7() -> uuid.UUID:
    """A version 7 UUID: 48 bits of Unix milliseconds, 12 bits of their fraction, 62 random bits.

    The fraction (RFC 9562, 6.2, method 3) keeps rows in order that are made within one millisecond.
    """
    milliseconds, rest = divmod(time.time_ns(), NS_PER_MS)
    fraction = (rest << 12) // NS_PER_MS
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0x2 << 62) | secrets.randbits(62)
    return uuid.UUID(int=value)
