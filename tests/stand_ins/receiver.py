"""The far end of a webhook: takes POSTs over a socket, keeps them, and answers in every way that an endpoint can."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@dataclass
class Receiver:
    """`answer` says what every request gets; `received` holds them in their order."""

    url: str = ""
    answer: Callable[[BaseHTTPRequestHandler], None] = field(default_factory=lambda: answering(200, b"thanks"))
    received: list[Received] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def silent(self, handler: BaseHTTPRequestHandler) -> None:
        """Say nothing until the test is over."""
        self.released.wait(60)

    def dripping(self, handler: BaseHTTPRequestHandler) -> None:
        """Begin a body that does not end."""
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not self.released.wait(0.05):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    def ids(self) -> list[str]:
        return [one.headers["webhook-id"] for one in self.received]


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.received.append(Received(self.path, headers, body))
        try:
            self.receiver.answer(self)
        except OSError:
            # Whoever asked has gone, which some of the answers are meant to bring about.
            self.close_connection = True


@contextmanager
def running() -> Iterator[Receiver]:
    receiver = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ReceiverHandler", (Handler,), {"receiver": receiver}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
