"""Who is calling the data plane: an API token, checked against its organization's snapshot."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Protocol

from apps.core import tokens
from apps.core.edge import Answer, Call, Proceed, Snapshot, Stage
from apps.core.errors import NotAuthenticated, PermissionMissing

REMEMBERED_TOKENS = 10_000


class Snapshots(Protocol):
    def get(self, organization_id: str) -> Snapshot | None: ...


def authenticate(snapshots: Snapshots) -> Stage:
    """Let a call pass with a live token, and tell it whose it is; every other call is refused alike with 401."""

    async def stage(call: Call, proceed: Proceed) -> Answer:
        token = _bearer(call.headers.get(b"authorization", b""))
        if token is None:
            raise NotAuthenticated()
        snapshot = snapshots.get(token.organization_id)
        entry = snapshot and snapshot.sections.get("tokens", {}).get(token.token_id)
        if not entry or not _matches(token.secret, entry["hash"]) or _has_expired(entry["expires_at"]):
            raise NotAuthenticated()
        call.snapshot = snapshot
        call.organization_id, call.token_id = token.organization_id, token.token_id
        call.permissions = frozenset(entry["scopes"])
        return await proceed(call)

    return stage


def permit(*permissions: str) -> Stage:
    """Let a call pass when its token has any of `permissions`."""
    wanted = frozenset(permissions)

    async def stage(call: Call, proceed: Proceed) -> Answer:
        if wanted.isdisjoint(call.permissions):
            raise PermissionMissing(permission=permissions[0])
        return await proceed(call)

    return stage


@lru_cache(REMEMBERED_TOKENS)
def _bearer(authorization: bytes) -> tokens.Token | None:
    scheme, _, credentials = authorization.decode("latin-1").partition(" ")
    return tokens.parse(credentials.strip()) if scheme.lower() == "bearer" else None


# Remembered because it costs as much as the rest of a call. What the snapshot says of the token is asked each time.
_matches = lru_cache(REMEMBERED_TOKENS)(tokens.matches)


def _has_expired(expires_at: float | None) -> bool:
    return expires_at is not None and expires_at <= time.time()
