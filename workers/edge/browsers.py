"""Our own pages may call models though the data plane is another origin; scripts of other sites may not (CORS)."""

from __future__ import annotations

import os

from yarl import URL

from apps.core.edge import Answer, Call, Proceed, Stage

PREFLIGHT_KEPT_S = 600
ALLOWED = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type, x-metadata"),
    (b"access-control-max-age", b"%d" % PREFLIGHT_KEPT_S),
]


def pages_origin() -> bytes:
    """Where our pages are, as browsers name it; empty if nobody has said it."""
    address = os.environ.get("PUBLIC_URL", "")
    return str(URL(address).origin()).encode() if address else b""


def share(origin: bytes) -> Stage:
    """Let a page of that origin read the answer, and the id of its call."""

    async def stage(call: Call, proceed: Proceed) -> Answer:
        if origin and call.headers.get(b"origin") == origin:
            call.told += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", b"x-request-id, retry-after"),
                (b"vary", b"origin"),
            ]
        return await proceed(call)

    return stage


async def preflight(call: Call) -> Answer:
    """What a browser asks before it sends a page's call; `share` tells whether it may."""
    return Answer(200, list(ALLOWED), b"")
