from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from apps.deployments import probing
from apps.deployments.probing import Prober


@pytest.fixture
def prober(monkeypatch: pytest.MonkeyPatch) -> Iterator[Prober]:
    monkeypatch.setattr(probing, "TIMEOUT_S", 0.3)
    prober = Prober()
    yield prober
    prober.close()


def server(answer: bytes | None) -> str:
    """The address of a server that gives each connection `answer` and ends it; None accepts and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        silent = []
        while True:
            connection, _ = listener.accept()
            if answer is None:
                silent.append(connection)
                continue
            connection.recv(1000)
            connection.sendall(answer)
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


def refusing() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_only_those_that_answer_200_are_healthy(prober: Prober) -> None:
    good = server(b"HTTP/1.1 200 OK\r\n\r\n{}")
    bad = [
        server(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"),
        server(b"HTTP/1.1"),
        server(b""),
        server(None),
        refusing(),
    ]
    for _ in range(2):
        assert prober.ask({good, *bad}) == {good}


def test_nobody_to_ask_is_no_answer(prober: Prober) -> None:
    assert prober.ask(set()) == set()
