"""Lint, types, layers and migrations: what has to be clean before tests run.

`python -m workers.supervisor lint` runs this module beside private services, because types and migrations load the
settings and the migration check reads a database.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from workers.supervisor.state import ROOT
from workers.supervisor.terminal import complain, say

BIN = Path(sys.executable).parent
CHECKS: list[list[str]] = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["lint-imports"],
    ["djlint", "templates", "--lint", "--quiet"],
    ["mypy"],
    ["python", "manage.py", "makemigrations", "--check", "--dry-run"],
    ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
    ["python", "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull],
]
# What an installation behind a proxy sets, besides secrets and services of its own.
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "PUBLIC_URL": "https://modelyard.test",
    "EDGE_URL": "https://models.modelyard.test",
    "TRUSTED_PROXIES": "10.0.0.0/8",
}


def main() -> int:
    """Run every check, so that one run tells everything; 0 when all are clean."""
    failed = [check for check in CHECKS if not is_clean(check)]
    for check in failed:
        complain(f"Failed: {' '.join(check)}")
    return 1 if failed else 0


def is_clean(check: Sequence[str]) -> bool:
    say("+ " + " ".join(check))
    env = {**os.environ, **(PRODUCTION if "--deploy" in check else {})}
    return subprocess.run([BIN / check[0], *check[1:]], cwd=ROOT, env=env, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
