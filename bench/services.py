"""Benchmarks that need the application: each in a process of its own, on throw-away services."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.report import Row


def measured(module: str) -> list[Row]:
    """The rows of `module`'s `measure()`, which finds the services in its environment."""
    with tempfile.TemporaryDirectory(prefix=f"{module}-") as folder:
        found = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "workers.supervisor", "run", "--", sys.executable, "-m", "bench.services"]
        subprocess.run([*command, module, str(found)], check=True)
        return [Row(**row) for row in json.loads(found.read_text())]


def organization(slug: str) -> tuple[Any, Any]:
    """A new organization and its owner."""
    from apps.accounts.models import User
    from apps.organizations import services

    owner = User.objects.create_user(email=f"owner@{slug}.test")
    return services.create_organization(slug.capitalize(), owner, slug=slug), owner


def as_admin(statement: str, parameters: Any = None) -> None:
    import psycopg

    address = os.environ["DATABASE_ADMIN_URL"].rpartition("/")[0]
    name = os.environ["DATABASE_OWNER_URL"].rpartition("/")[2]
    with psycopg.connect(f"{address}/{name}", autocommit=True) as connection:
        connection.execute(statement, parameters)


def main() -> None:
    import django

    module, found = sys.argv[1:]
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.testing"
    django.setup()
    logging.disable(logging.WARNING)
    subprocess.run([sys.executable, "manage.py", "migrate", "--database", "owner", "--verbosity", "0"], check=True)
    Path(found).write_text(json.dumps([asdict(row) for row in importlib.import_module(module).measure()]))


if __name__ == "__main__":
    main()
