"""Opens the tenant of a WebSocket: only for a signed-in member, and only from our own pages."""

from __future__ import annotations

from typing import Any

from channels.db import database_sync_to_async

from apps.core import tenancy
from apps.core.errors import NotFound
from apps.organizations import queries

NOT_FOUND = {"type": "websocket.close", "code": 4404}


class TenantSocketMiddleware:
    """Sets `scope["organization_id"]` from the membership behind the `organization_slug` of the address."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        slug = scope["url_route"]["kwargs"]["organization_slug"]
        membership = await database_sync_to_async(_membership)(scope["user"], slug)
        if membership is None:
            await send(NOT_FOUND)
            return
        organization_id = membership.organization_id
        with tenancy.scope(organization_id):
            await self.inner({**scope, "organization_id": organization_id}, receive, send)


def _membership(user: Any, slug: str) -> Any:
    if not user.is_authenticated:
        return None
    try:
        return queries.membership_in(user, slug)
    except NotFound:
        return None
