"""The test databases: one migrated template for a run, cloned for each process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from tests.isolation import DATABASE, TEMPLATE, _with_path

ROOT = Path(__file__).resolve().parent.parent
DEADLOCKS = 5
KEPT_TABLES = ("django_migrations", "django_content_type", "auth_permission")


def admin(database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(_with_path(os.environ["DATABASE_ADMIN_URL"], database), autocommit=True)


def create() -> None:
    """A fresh clone of the migrated template for this process."""
    lock = Path(os.environ["STATE_DIR"]).parent / "template.lock"
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        fingerprint = _migrations_fingerprint()
        marker = lock.with_suffix(".built")
        if not marker.exists() or marker.read_text() != fingerprint:
            _build_template()
            marker.write_text(fingerprint)
        _recreate(DATABASE, template=TEMPLATE)


def drop() -> None:
    with admin() as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))


def truncate() -> None:
    """Empty every table, as the superuser: triggers keep even the owner from emptying the trail."""
    with admin(DATABASE) as connection:
        connection.execute("SET lock_timeout = '10s'")
        connection.execute("SET session_replication_role = 'replica'")
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        tables = [sql.Identifier(name) for (name,) in rows if name not in KEPT_TABLES]
        _empty(connection, sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(tables)))


def _empty(connection: psycopg.Connection, statement: sql.Composed) -> None:
    """Once more, each time that a page which is still being served locked some of the tables in another order."""
    for _ in range(DEADLOCKS):
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            connection.execute(statement)
            return
    connection.execute(statement)


def _recreate(name: str, template: str = "template1") -> None:
    with admin() as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER owner TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def _build_template() -> None:
    from workers.supervisor import provision

    _recreate(TEMPLATE)
    provision.grant(_with_path(os.environ["DATABASE_ADMIN_URL"], TEMPLATE))
    urls = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_CONSOLE_URL", "DATABASE_SINK_URL")
    environment = {**os.environ, **{name: _with_path(os.environ[name], TEMPLATE) for name in urls}}
    command = [sys.executable, "manage.py", "migrate", "--database", "owner", "--verbosity", "0", "--skip-checks"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def _migrations_fingerprint() -> str:
    files = sorted(ROOT.glob("apps/*/migrations/*.py"))
    return "\n".join(f"{file} {file.stat().st_mtime_ns}" for file in files)
