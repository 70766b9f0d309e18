"""Opens the tenant of a WebSocket: only for a signed-in member, and only from our own pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async

from apps.core import tenancy
from apps.core.errors import DomainError
from apps.organizations import acting, queries

NOT_FOUND = 4404  # close code: there is nothing to hear here, and asking again does not help


class TenantSocketMiddleware:
    """Sets `scope["organization_id"]` from the membership behind the `organization_slug` of the address."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        slug = scope["url_route"]["kwargs"]["organization_slug"]
        membership = await database_sync_to_async(_membership)(scope["user"], scope.get("session", {}), slug)
        if membership is None:
            await _turn_away(receive, send)
            return
        organization_id = membership.organization_id
        with tenancy.scope(organization_id):
            await self.inner({**scope, "organization_id": organization_id}, receive, send)


async def _turn_away(receive: Any, send: Any) -> None:
    # Accepted first, because a browser is not told why a handshake was refused, and would try for ever.
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": NOT_FOUND})


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
