"""Who is calling the data plane: an API token, checked against its organization's snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Protocol

from apps.core import agents, passes, tokens
from apps.core.edge import Answer, Call, Proceed, Snapshot, Stage
from apps.core.errors import NotAuthenticated, ScopeMissing
from apps.organizations import networks
from apps.organizations.errors import AddressNotAllowed, OrganizationClosed, OrganizationSuspended

REMEMBERED_TOKENS = 10_000
LONGEST_TOKEN = 256  # longer than any; what is remembered of strangers stays small
KEY_HEADERS = (b"x-api-key", b"api-key")  # Anthropic's clients, Azure's
PASS = passes.PREFIX.encode()
STREAM = "events:tokens"
USE_INTERVAL_S = 60.0


class Snapshots(Protocol):
    def get(self, organization_id: str) -> Snapshot | None: ...


def authenticate(snapshots: Snapshots) -> Stage:
    """Let a call pass with a live token, or with a pass of our own, and tell it whose it is.

    Every other call is refused alike with 401.
    """

    async def stage(call: Call, proceed: Proceed) -> Answer:
        given = _credentials(call)
        if given.startswith(PASS):
            _accept_pass(call, given, snapshots)
        else:
            _accept_token(call, _parsed(given), snapshots)
        return await proceed(call)

    return stage


def claims_somebody(call: Call) -> bool:
    """Whether the call says whose it is, rightly or not."""
    return b"authorization" in call.headers or any(name in call.headers for name in KEY_HEADERS)


def _credentials(call: Call) -> bytes:
    """A bearer token, or a key where clients of other makers put it; empty without any."""
    authorization = call.headers.get(b"authorization")
    if authorization is not None:
        return _bearer(authorization)
    return next((call.headers[name] for name in KEY_HEADERS if name in call.headers), b"")


def _accept_token(call: Call, token: tokens.Token | None, snapshots: Snapshots) -> None:
    if token is None:
        raise NotAuthenticated()
    snapshot = snapshots.get(token.organization_id)
    entry = snapshot and snapshot.sections.get("tokens", {}).get(token.token_id)
    if not entry or not _accepts(entry, token.secret) or _has_expired(entry["expires_at"]):
        raise NotAuthenticated()
    call.snapshot = snapshot
    call.organization_id, call.token_id = token.organization_id, token.token_id
    call.user_id = entry.get("user")  # a snapshot kept on disk may be older than it
    call.permissions = frozenset(entry["scopes"])


def _accept_pass(call: Call, given: bytes, snapshots: Snapshots) -> None:
    told = passes.read(given.decode("latin-1"), time.time())
    snapshot = snapshots.get(told.organization_id) if told else None
    if told is None or snapshot is None:
        raise NotAuthenticated()
    call.snapshot, call.organization_id, call.user_id = snapshot, told.organization_id, told.user_id
    call.permissions = told.permissions
    call.dimensions["source"] = told.source


async def while_active(call: Call, proceed: Proceed) -> Answer:
    """Let an authenticated call pass unless its organization is closed or suspended."""
    # A snapshot kept on disk may be older than this section.
    about = call.snapshot.sections.get("organization", {}) if call.snapshot else {}
    if "closed_until" in about:
        raise OrganizationClosed(day=about["closed_until"])
    if "suspended_because" in about:
        raise OrganizationSuspended(because=about["suspended_because"])
    return await proceed(call)


async def within_networks(call: Call, proceed: Proceed) -> Answer:
    """Let an authenticated call pass from the networks of its token."""
    entry = call.snapshot.sections["tokens"][call.token_id] if call.snapshot and call.token_id else {}
    allowed = entry.get("networks")
    if allowed and not networks.contain(tuple(allowed), call.client):
        raise AddressNotAllowed(address=call.client)
    return await proceed(call)


def note_use(clock: Callable[[], float] = time.monotonic) -> Stage:
    """Tell each token's use once a minute."""
    told_until: dict[str, float] = {}

    async def stage(call: Call, proceed: Proceed) -> Answer:
        now, token_id = clock(), call.token_id
        if token_id and now >= told_until.get(token_id, now):
            if len(told_until) >= REMEMBERED_TOKENS:
                told_until.clear()
            told_until[token_id] = now + USE_INTERVAL_S
            call.events.append((STREAM, partial(_use_event, call, time.time())))
        return await proceed(call)

    return stage


def permit(*permissions: str) -> Stage:
    """Let a call pass when its token has any of `permissions`."""
    wanted = frozenset(permissions)

    async def stage(call: Call, proceed: Proceed) -> Answer:
        if wanted.isdisjoint(call.permissions):
            raise ScopeMissing(permission=permissions[0])
        return await proceed(call)

    return stage


def _bearer(authorization: bytes) -> bytes:
    scheme, _, given = authorization.partition(b" ")
    return given.strip() if scheme.lower() == b"bearer" else b""


def _parsed(given: bytes) -> tokens.Token | None:
    return _token(given) if len(given) <= LONGEST_TOKEN else None


@lru_cache(REMEMBERED_TOKENS)
def _token(given: bytes) -> tokens.Token | None:
    return tokens.parse(given.decode("latin-1"))


# Remembered because it costs as much as the rest of a call. What the snapshot says of the token is asked each time.
_matches = lru_cache(REMEMBERED_TOKENS)(tokens.matches)


def _accepts(entry: dict[str, Any], secret: str) -> bool:
    """The token's secret, or for a while after a rotation the one before it."""
    if _matches(secret, entry["hash"]):
        return True
    previous = entry.get("previous")  # a snapshot kept on disk may be older than rotation
    if previous is None or _has_expired(previous["expires_at"]):
        return False
    return _matches(secret, previous["hash"])


def _has_expired(expires_at: float | None) -> bool:
    return expires_at is not None and expires_at <= time.time()


def _use_event(call: Call, at: float) -> dict[str, Any]:
    return {
        "token": call.token_id,
        "organization_id": call.organization_id,
        "at": datetime.fromtimestamp(at, UTC),
        "client": call.client,
        "agent": agents.kept(call.headers.get(b"user-agent", b"").decode("latin-1")),
    }
