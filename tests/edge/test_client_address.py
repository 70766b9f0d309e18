"""The data plane believes the same proxies as the control plane."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from apps.core.addresses import networks
from apps.core.edge import Answer, Call, Proceed
from workers import asgi


class Mirror(asgi.Application):
    """Answers with the address that it takes the client for."""

    def __init__(self) -> None:
        self._serve = self._mirror

    async def start(self) -> Proceed:
        return self._mirror

    async def _mirror(self, call: Call) -> Answer:
        return Answer(200, [], call.client.encode())


async def seen(peer: str, *claims: str) -> str:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/v2",
        "query_string": b"",
        "client": (peer, 4711),
        "headers": [(b"x-forwarded-for", claim.encode()) for claim in claims],
    }
    call = ApplicationCommunicator(Mirror(), scope)
    await call.receive_output()
    body: bytes = (await call.receive_output())["body"]
    return body.decode()


async def test_s8_a_forwarded_address_counts_only_from_a_trusted_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await seen("203.0.113.7", "198.51.100.1") == "203.0.113.7"
    monkeypatch.setattr(asgi, "TRUSTED_PROXIES", networks(["10.0.0.0/8"]))
    assert await seen("203.0.113.7", "198.51.100.1") == "203.0.113.7"
    assert await seen("10.0.0.1", "198.51.100.1, 203.0.113.7") == "203.0.113.7"
    assert await seen("10.0.0.1", "198.51.100.1", "203.0.113.7, 10.0.0.9") == "203.0.113.7"
