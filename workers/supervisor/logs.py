"""Log files that stay small."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
KEPT = 3


def rotate(log: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
    """Move a log that has grown too large to `.1`, older ones up to `.<kept>`.

    Copied and cut, not renamed: the programs write to it by themselves, so that they survive the supervisor.
    """
    if log.stat().st_size <= max_bytes:
        return
    for number in range(kept - 1, 0, -1):
        older = Path(f"{log}.{number}")
        if older.exists():
            older.replace(f"{log}.{number + 1}")
    shutil.copyfile(log, f"{log}.1")
    os.truncate(log, 0)
