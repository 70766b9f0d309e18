"""What a client calls itself in `User-Agent`, as it may be kept and shown. Imports no Django."""

from __future__ import annotations

MAX_CHARS = 200


def kept(agent: str) -> str:
    """The first 200 characters, with a question mark for what cannot be printed."""
    return "".join(character if character.isprintable() else "?" for character in agent[:MAX_CHARS])
