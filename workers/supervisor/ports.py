"""Ports of services that listen on loopback only."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
# The kernel hands out 32768 and above to outgoing connections, so a service there may find its port taken.
RANGE = range(20_000, 32_768)
BACKLOG = 2048


class PortTaken(Exception):
    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} is already in use. Choose another one: make up PORT=<number>")


def listen(port: int) -> socket.socket:
    """A listening socket that children inherit: while one restarts, its clients wait in the backlog."""
    try:
        listener = _bound(port)
    except OSError as error:
        raise PortTaken(port) from error
    listener.listen(BACKLOG)
    return listener


def is_free(port: int) -> bool:
    try:
        _bound(port).close()
    except OSError:
        return False
    return True


def choose(taken: set[int]) -> int:
    """A free port outside the ephemeral range, at random so that two installations rarely meet."""
    return next(port for port in random.sample(RANGE, len(RANGE)) if port not in taken and is_free(port))


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Without it the connections that a stopped server left in TIME_WAIT would block its port for a minute.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener
