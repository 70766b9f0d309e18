"""A mail server's far end (RFC 5321), spoken over a socket: it takes mails, refuses them, or is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer

EXTENSIONS = b"250-mail.test\r\n250-SIZE 10000000\r\n250 8BITMIME\r\n"
ANSWERS = {
    "HELO": "250 mail.test",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 Go on",
    "RSET": "250 2.0.0 OK",
    "NOOP": "250 2.0.0 OK",
    "QUIT": "221 2.0.0 Bye",
}


@dataclass
class MailServer:
    """What it took. `refusals` are its answers to a command, by the whole of it or by its first word."""

    server: ThreadingTCPServer
    received: list[EmailMessage] = field(default_factory=list)
    connections: int = 0
    refusals: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    is_up: bool = False

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    def start(self) -> None:
        """Until now its port refused every connection."""
        self.server.server_activate()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.is_up = True

    def stop(self) -> None:
        if self.is_up:
            self.server.shutdown()
        self.server.server_close()

    def answer(self, command: str) -> str:
        word, space, rest = command.partition(" ")
        word = word.upper()
        known = ANSWERS.get(word, "502 5.5.2 Not known")
        return self.refusals.get(f"{word}{space}{rest}", self.refusals.get(word, known))


class Handler(StreamRequestHandler):
    mail_server: MailServer

    def handle(self) -> None:
        self.mail_server.connections += 1
        self.say("220 mail.test ESMTP")
        while line := self.rfile.readline():
            command = line.decode().strip()
            if command.upper().startswith("EHLO"):
                self.wfile.write(EXTENSIONS)
                continue
            answer = self.mail_server.answer(command)
            self.say(answer)
            if answer.startswith("221") or (answer.startswith("354") and not self.take()):
                return

    def take(self) -> bool:
        """Whether the sender is told that its mail was taken."""
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b"."))
        self.mail_server.received.append(message_from_bytes(b"".join(lines), policy=policy.default))
        if self.mail_server.hangs_up:
            return False
        self.say("250 2.0.0 Taken")
        return True

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def bound() -> Iterator[MailServer]:
    """A server that has its port and is away until it is started."""
    handler = type("MailHandler", (Handler,), {})
    server = ThreadingTCPServer(("127.0.0.1", 0), handler, bind_and_activate=False)
    server.daemon_threads = True
    server.server_bind()
    mail_server = MailServer(server)
    handler.mail_server = mail_server  # type: ignore[attr-defined]
    try:
        yield mail_server
    finally:
        mail_server.stop()
