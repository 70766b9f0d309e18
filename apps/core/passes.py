"""Passes: what lets one of our own pages, or our own work, call the data plane for somebody, for a minute.

`myp_<statement>.<signature>`: the statement says whose call it is and what it may do, signed with a key made of
TOKEN_PEPPER, so that the data plane needs nobody to check it. Imports no Django.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

PREFIX = "myp_"
VALID_S = 60
LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Pass:
    """Whose call, what it may do, until when (epoch seconds), and which part of the product makes it."""

    organization_id: str
    user_id: str | None
    permissions: frozenset[str]
    ends_at: float
    source: str


def issue(organization_id: str, user_id: str | None, permissions: Iterable[str], *, source: str, now: float) -> str:
    """A pass that is valid for a minute from `now`."""
    told = {
        "organization": organization_id,
        "user": user_id,
        "permissions": sorted(permissions),
        "ends_at": now + VALID_S,
        "source": source,
    }
    statement = _text(json.dumps(told, separators=(",", ":")).encode())
    return f"{PREFIX}{statement}.{_signature(statement, _peppers()[0])}"


def read(text: str, now: float) -> Pass | None:
    """The pass in `text`; None if it is none of ours or its time is over."""
    statement, _, signature = text.removeprefix(PREFIX).partition(".")
    if not text.startswith(PREFIX) or len(text) > LONGEST or not _is_ours(statement, signature):
        return None
    told = json.loads(_bytes(statement))
    if told["ends_at"] <= now:
        return None
    permissions = frozenset(told["permissions"])
    return Pass(told["organization"], told["user"], permissions, told["ends_at"], told["source"])


def _is_ours(statement: str, signature: str) -> bool:
    given = signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(_signature(statement, pepper).encode(), given) for pepper in _peppers())


def _signature(statement: str, pepper: str) -> str:
    key = hmac.digest(pepper.encode(), b"modelyard passes", "sha256")
    return _text(hmac.digest(key, statement.encode("utf-8", "replace"), "sha256"))


def _peppers() -> list[str]:
    return os.environ["TOKEN_PEPPER"].split(",")


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
