"""Opens the tenant of a WebSocket: only for a signed-in member, and only from our own pages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async

from apps.accounts.sessions import SessionStore
from apps.core import tenancy
from apps.core.errors import DomainError
from apps.organizations import acting, queries

NOT_FOUND = 4404  # close code: there is nothing to hear here, and asking again does not help


class TenantSocketMiddleware:
    """Sets `scope["organization_id"]` from the membership behind the `organization_slug` of the address.

    `scope["is_still_admitted"]` asks anew: for whoever could have been removed before they heard of removals.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        slug, browser = scope["url_route"]["kwargs"]["organization_slug"], scope["session"]
        membership = await _membership(scope["user"], browser, slug)
        if membership is None:
            await _turn_away(receive, send)
            return
        organization_id = membership.organization_id
        is_still_admitted = partial(_is_still_admitted, browser.session_key, slug)
        with tenancy.scope(organization_id):
            inside = {**scope, "organization_id": organization_id, "is_still_admitted": is_still_admitted}
            await self.inner(inside, receive, send)


async def _turn_away(receive: Any, send: Any) -> None:
    # Accepted first, because a browser is not told why a handshake was refused, and would try for ever.
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": NOT_FOUND})


async def _is_still_admitted(session_key: str, slug: str) -> bool:
    browser = SessionStore(session_key)
    return await _membership(await get_user({"session": browser}), browser, slug) is not None


@database_sync_to_async
def _membership(user: Any, browser: Mapping[str, Any], slug: str) -> Any:
    if not user.is_authenticated:
        return None
    try:
        if session := acting.lasting(browser, user, slug):
            return session.membership
        membership = queries.membership_in(user, slug)
        queries.require_admission(membership)
    except DomainError:
        return None
    return membership
