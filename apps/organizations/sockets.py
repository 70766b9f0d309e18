"""Opens the tenant of a WebSocket: only for a signed-in member, and only from our own pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from channels.auth import get_user
from channels.db import database_sync_to_async

from apps.accounts.sessions import SessionStore
from apps.core import tenancy
from apps.core.errors import DomainError
from apps.organizations import acting, queries

NOT_FOUND = 4404  # close code: there is nothing to hear here, and asking again does not help


class TenantSocketMiddleware:
    """Sets `scope["organization_id"]` from the membership behind the `organization_slug` of the address.

    `scope["admitted_until"]` is when an operator's look ends, None for members. `scope["is_still_admitted"]` asks anew:
    for whoever could have been removed before they heard of removals.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        slug, browser = scope["url_route"]["kwargs"]["organization_slug"], scope["session"]
        admission = await _admission(scope["user"], browser, slug)
        if admission is None:
            await _turn_away(receive, send)
            return
        organization_id, admitted_until = admission
        is_still_admitted = partial(_is_still_admitted, browser.session_key, slug)
        with tenancy.scope(organization_id):
            told = {"admitted_until": admitted_until, "is_still_admitted": is_still_admitted}
            await self.inner({**scope, "organization_id": organization_id, **told}, receive, send)


async def _turn_away(receive: Any, send: Any) -> None:
    # Accepted first, because a browser is not told why a handshake was refused, and would try for ever.
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": NOT_FOUND})


async def _is_still_admitted(session_key: str, slug: str) -> bool:
    browser = SessionStore(session_key)
    return await _admission(await get_user({"session": browser}), browser, slug) is not None


@database_sync_to_async
def _admission(user: Any, browser: Mapping[str, Any], slug: str) -> tuple[UUID, datetime | None] | None:
    """The organization that lets somebody in, and until when if that is limited."""
    if not user.is_authenticated:
        return None
    try:
        if session := acting.lasting(browser, user, slug):
            return session.organization_id, session.ends_at
        membership = queries.membership_in(user, slug)
        queries.require_admission(membership)
    except DomainError:
        return None
    return membership.organization_id, None
