"""The embedded PostgreSQL and Valkey heal after being killed; private ones for tests leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil
import psycopg
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workers.supervisor.groups import Group
from workers.supervisor.postgres import ClusterOfAnother, Postgres, make_readable
from workers.supervisor.testing import services, throwaway


def pid_of(variables: Mapping[str, str], name: str) -> int | None:
    group = Group.load(Path(variables["STATE_DIR"]) / "run" / f"{name}.json")
    return group.pid if group else None


async def until_replaced(variables: Mapping[str, str], name: str, old: int) -> None:
    async with asyncio.timeout(30):
        while pid_of(variables, name) in (None, old):
            await asyncio.sleep(0.02)


async def query(url: str, statement: str) -> object:
    """Ask until the database answers: it is being restarted."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                    row = await (await connection.execute(statement)).fetchone()
                    return row[0] if row else None
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)


async def test_a_killed_postgres_comes_back_even_while_a_back_end_of_it_is_busy() -> None:
    async with services() as variables:
        admin_url, old = variables["DATABASE_ADMIN_URL"], pid_of(variables, "postgres")
        assert old
        connection = await psycopg.AsyncConnection.connect(admin_url, autocommit=True)
        await connection.execute("SET statement_timeout = '60s'")
        busy = asyncio.create_task(connection.execute("DO $$ BEGIN LOOP END LOOP; END $$"))
        await query(admin_url, "SELECT 1")
        os.kill(old, signal.SIGKILL)
        await until_replaced(variables, "postgres", old)
        assert await query(admin_url, "SELECT 7") == 7
        with pytest.raises(psycopg.OperationalError):
            await busy


async def test_a_killed_valkey_comes_back_with_what_it_had_written() -> None:
    async with services() as variables:
        old = pid_of(variables, "valkey")
        assert old
        async with Redis.from_url(variables["REDIS_URL"]) as client:
            await client.set("kept", "7")
            # What everysec has not yet written to the disk is in the kernel, which the process' death does not reach.
            os.kill(old, signal.SIGKILL)
            await until_replaced(variables, "valkey", old)
            assert await _get(client, "kept") == b"7"


async def _get(client: Redis, key: str) -> object:
    async with asyncio.timeout(30):
        while True:
            try:
                return await client.get(key)
            except RedisError:
                await asyncio.sleep(0.05)


async def test_private_services_leave_nothing_behind() -> None:
    async with services() as variables:
        folder = Path(variables["STATE_DIR"]).parent
        pids = [pid_of(variables, name) for name in ("postgres", "valkey")]
        assert all(pid and psutil.pid_exists(pid) for pid in pids)
    assert not folder.exists()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)


def test_binaries_installed_under_a_strict_umask_become_readable(tmp_path: Path) -> None:
    program, text = tmp_path / "bin" / "postgres", tmp_path / "share"
    program.parent.mkdir(mode=0o700)
    program.touch(mode=0o700)
    text.touch(mode=0o600)
    make_readable(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (program.parent, program, text)] == [0o755, 0o755, 0o644]


async def test_the_database_of_a_checkout_that_is_gone_is_told_as_such() -> None:
    async with services() as variables:
        state = throwaway(Path(variables["STATE_DIR"]).parent)
        Postgres(state.services, state.binaries, 1, state.secret("postgres")).prepare()
        with pytest.raises(ClusterOfAnother, match="make reset"):
            Postgres(state.services, state.binaries, 1, "the password of another .data").prepare()
