"""What the person who started it reads."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

MAX_SHOWN_BYTES = 65536


def say(text: str) -> None:
    """Tell it, as long as somebody listens: a closed terminal or a full disk must not end the supervision."""
    with suppress(OSError):
        print(text, flush=True)


class Speaker:
    """A pipe on which programs tell the person what no log may keep, such as the link in a mail."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        # A program must never wait for a terminal that nobody reads.
        os.set_blocking(self.writing, False)

    def listen(self) -> None:
        """Show what comes, from now on; needs a running event loop."""
        asyncio.get_running_loop().add_reader(self._reading, self._show)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reading)
        os.close(self._reading)
        os.close(self.writing)

    def _show(self) -> None:
        say(os.read(self._reading, MAX_SHOWN_BYTES).decode(errors="replace").rstrip("\n"))


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def tail(log: Path, lines: int = 25) -> str:
    """The end of a log, for the message that explains a failure."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
