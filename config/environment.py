"""What a process is told from outside: environment variables, or the `.data/env` that `make up` wrote.

Imports no Django, because the data plane reads it too.
"""

from __future__ import annotations

import os
from pathlib import Path

from environs import Env

ROOT = Path(__file__).resolve().parent.parent

env = Env()
if "DATABASE_URL" not in os.environ and "REDIS_URL" not in os.environ:
    env.read_env(str(ROOT / ".data" / "env"), recurse=False)
