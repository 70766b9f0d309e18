"""Steps between the services and the processes: schema and static files, each only when something changed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import psycopg
from psycopg import sql

from workers.supervisor.environment import Installation
from workers.supervisor.processes import run_to_end
from workers.supervisor.provision import provision
from workers.supervisor.state import ROOT
from workers.supervisor.terminal import say, tail

LOCK = ROOT / "requirements" / "base.txt"


class StepFailed(Exception):
    """A step that ended badly, with the end of its log."""

    def __init__(self, step: str, log: Path) -> None:
        super().__init__(f"{step} failed. The end of {log}:\n{tail(log)}")


async def set_up(installation: Installation) -> None:
    """Bring roles, schema and static files up to the code; quick when they are already."""
    if installation.admin_url:
        await asyncio.to_thread(provision, installation.admin_url, installation.roles)
    await migrate(installation)
    await collect_static(installation)


async def migrate(installation: Installation) -> None:
    """Migrate, unless the database says that these very migrations ran in it."""
    owner_url = installation.variables["DATABASE_OWNER_URL"]
    wanted = fingerprint([LOCK, *ROOT.glob("apps/*/migrations/*.py")])
    if await asyncio.to_thread(read_mark, owner_url) == wanted:
        return
    say("Migrating the database")
    await manage(installation, "migrate", "--database", "owner", "--no-input")
    await asyncio.to_thread(write_mark, owner_url, wanted)


async def collect_static(installation: Installation) -> None:
    """Collect static files, unless none changed since."""
    mark = installation.state.folder / "static.fingerprint"
    folders = [ROOT / "static", *ROOT.glob("apps/*/static")]
    wanted = fingerprint([LOCK, *(file for folder in folders for file in folder.rglob("*") if file.is_file())])
    if mark.exists() and mark.read_text() == wanted:
        return
    say("Collecting static files")
    await manage(installation, "collectstatic", "--no-input")
    mark.write_text(wanted)


async def manage(installation: Installation, *arguments: str) -> None:
    log = installation.state.logs / "setup.log"
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    if await run_to_end(command, {**os.environ, **installation.variables}, log) != 0:
        raise StepFailed(f"manage.py {arguments[0]}", log)


def fingerprint(files: Iterable[Path]) -> str:
    """A digest of these files' names and contents."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def read_mark(owner_url: str) -> str | None:
    """What the database's comment says; it is dropped and restored together with the schema it speaks of."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
    with psycopg.connect(owner_url) as connection:
        row = connection.execute(query).fetchone()
        return str(row[0]) if row else None


def write_mark(owner_url: str, mark: str) -> None:
    with psycopg.connect(owner_url) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(mark)))
