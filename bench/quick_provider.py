"""A provider that answers every chat at once with the same words: far quicker than what stands before it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import cast

import uvloop

from tests.stand_ins import provider_answers
from tests.stand_ins.provider_answers import Saying

SAID = Saying(words=tuple(f"word{number} " for number in range(40)))
ASKED = {"model": "quick", "stream_options": {"include_usage": True}}


def _whole() -> bytes:
    body = json.dumps(provider_answers.whole("chat", ASKED, SAID)).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _stream() -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in provider_answers.events("chat", ASKED, SAID))
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\n\r\n"
    )


class Quick(asyncio.Protocol):
    whole, stream = _whole(), _stream()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.received = b""
        is_stream = b'"stream":true' in body or b'"stream": true' in body
        self.transport.write(self.stream if is_stream else self.whole)


async def serve(ready_file: Path) -> None:
    server = await asyncio.get_running_loop().create_server(Quick, "127.0.0.1", 0, backlog=2048)
    ready_file.write_text(json.dumps({"pid": os.getpid(), "port": server.sockets[0].getsockname()[1]}))
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", choices=["0"])
    parser.add_argument("--ready-file", type=Path, required=True)
    uvloop.run(serve(parser.parse_args().ready_file))


main()
