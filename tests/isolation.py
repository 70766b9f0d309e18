"""Gives each test process its own database, Redis database and state folder, before Django reads its settings.

Loaded by `-p tests.isolation` (pyproject.toml). The servers themselves come from the environment: `make test` starts
private ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
DATABASE = f"test_{WORKER}"
TEMPLATE = "test_template"


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


def _isolate() -> None:
    if "DATABASE_ADMIN_URL" not in os.environ:
        raise SystemExit("The tests need private services: run `make test`, or `python -m workers.supervisor test`.")
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_CONSOLE_URL", "DATABASE_SINK_URL"):
        os.environ[name] = _with_path(os.environ[name], DATABASE)
    number = 15 if WORKER == "main" else int(WORKER.removeprefix("gw"))
    os.environ["REDIS_URL"] = _with_path(os.environ["REDIS_URL"], str(number))
    state = Path(os.environ["STATE_DIR"]) / WORKER
    (state / "static").mkdir(parents=True, exist_ok=True)
    os.environ["STATE_DIR"] = str(state)
    os.environ["STORAGE_URL"] = f"file://{state}/objects"
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.testing"


_isolate()
