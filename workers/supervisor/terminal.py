"""What the person who started it reads."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path


def say(text: str) -> None:
    """Tell it, as long as somebody listens: a closed terminal or a full disk must not end the supervision."""
    with suppress(OSError):
        print(text, flush=True)


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def tail(log: Path, lines: int = 25) -> str:
    """The end of a log, for the message that explains a failure."""
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
