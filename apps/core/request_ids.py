"""Request ids: taken from the caller when they look sane, made otherwise, carried into logs and tasks."""

from __future__ import annotations

import re
import secrets

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9_.:-]{8,64}")


def accept_or_make(candidate: str | None) -> str:
    if candidate and _SANE.fullmatch(candidate):
        return candidate
    return f"req_{secrets.token_hex(12)}"
