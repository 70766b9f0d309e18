"""The peer of the gateway's benchmark: an ASGI application that hands a call on with aiohttp and does nothing else."""

from __future__ import annotations

import argparse

import aiohttp
import uvicorn

from workers.asgi import Receive, Scope, Send
from workers.serving import Server, add_socket_arguments, listening_socket

JSON = (b"content-type", b"application/json")
EVENTS = (b"content-type", b"text/event-stream")


class Forwarder:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        async with self.session.post(self.upstream + scope["path"], data=body, headers=self.headers) as response:
            if response.content_type == "text/event-stream":
                await self.stream(response, send)
                return
            answer = await response.read()
        await send({"type": "http.response.start", "status": response.status, "headers": [JSON, _length(answer)]})
        await send({"type": "http.response.body", "body": answer})

    async def stream(self, response: aiohttp.ClientResponse, send: Send) -> None:
        await send({"type": "http.response.start", "status": response.status, "headers": [EVENTS]})
        async for piece in response.content.iter_any():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.headers = {"content-type": "application/json", "authorization": "Bearer upstream"}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as self.session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True)
    add_socket_arguments(parser)
    arguments = parser.parse_args()
    config = uvicorn.Config(Forwarder(arguments.upstream), access_log=False, log_level="warning")
    Server(config, arguments.ready_file).run(sockets=[listening_socket(arguments)])


main()
