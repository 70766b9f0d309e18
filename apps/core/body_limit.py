"""Refuses a request body that is too large before it is read: Django would write all of it to disk first."""

from __future__ import annotations

import errno
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from apps.core.errors import DomainError, StorageUnavailable, problem_document
from apps.core.request_ids import HEADER, accept_or_make

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT}


class BodyTooLarge(DomainError):
    code = "body_too_large"
    status = 413
    detail = "The body is larger than {limit_bytes} bytes, which is the most that is taken here."


class BodyLimit:
    """An ASGI application before another one. `limit_for` gives the most bytes a path takes.

    A body that says its length is refused at once, one that does not as soon as it is too long. A disk that is full
    while the body is kept is told as 503.
    """

    def __init__(self, application: Application, limit_for: Callable[[str], int]) -> None:
        self._application = application
        self._limit_for = limit_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        limit = self._limit_for(scope["path"])
        try:
            if _declared_bytes(scope) > limit:
                raise BodyTooLarge(limit_bytes=limit)
            await self._application(scope, _counted(receive, limit), send)
        except DomainError as error:
            await _refuse(scope, send, error)
        except OSError as problem:
            if problem.errno not in DISK_IS_FULL:
                raise
            await _refuse(scope, send, StorageUnavailable())


def _declared_bytes(scope: Scope) -> int:
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


def _counted(receive: Receive, limit: int) -> Receive:
    received = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLarge(limit_bytes=limit)
        return message

    return counted


async def _refuse(scope: Scope, send: Send, error: DomainError) -> None:
    """The refusal as a problem document; the connection ends, because what follows on it is the body."""
    request_id = accept_or_make(dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1"))
    headers = {
        "Content-Type": "application/problem+json",
        "Connection": "close",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        HEADER: request_id,
        **error.headers,
    }
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": json.dumps(problem_document(error, request_id)).encode()})
