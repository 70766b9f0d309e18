"""The four database roles may do what they may, and no more."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors, sql

from workers.supervisor.provision import Roles, at_database, provision

POLICY = """
    CREATE TABLE thing (id bigint GENERATED ALWAYS AS IDENTITY, name text);
    CREATE SEQUENCE ticket;
    ALTER TABLE thing ENABLE ROW LEVEL SECURITY;
    ALTER TABLE thing FORCE ROW LEVEL SECURITY;
    CREATE POLICY mine ON thing USING (name = current_setting('app.name', true));
    CREATE FUNCTION count_things() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM thing';
"""


@pytest.fixture
def roles() -> Iterator[Roles]:
    """A database of this test alone, with one protected table that holds a row."""
    admin_url, database = os.environ["DATABASE_ADMIN_URL"], f"roles_{uuid.uuid4().hex}"
    owner, runtime, console, sink = (
        at_database(os.environ[name], database)
        for name in ("DATABASE_OWNER_URL", "DATABASE_URL", "DATABASE_CONSOLE_URL", "DATABASE_SINK_URL")
    )
    roles = Roles(owner, runtime, console, sink, owner_creates_databases=True)
    provision(admin_url, roles)
    execute(roles.owner_url, POLICY)
    execute(roles.console_url, "INSERT INTO thing (name) VALUES ('a')")
    execute(roles.owner_url, f"GRANT INSERT ON thing TO {roles.sink.name}")
    yield roles
    execute(admin_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def execute(url: str, statement: str | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def value(url: str, query: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def test_runtime_sees_only_what_the_policy_shows(roles: Roles) -> None:
    assert value(roles.runtime_url, "SELECT count(*) FROM thing") == 0
    assert value(roles.runtime_url, "SELECT count(*) FROM (SELECT set_config('app.name', 'a', false)) s, thing") == 1


def test_the_owner_is_held_by_the_policy_too(roles: Roles) -> None:
    assert value(roles.owner_url, "SELECT count(*) FROM thing") == 0


def test_console_sees_past_the_policy(roles: Roles) -> None:
    assert value(roles.console_url, "SELECT count(*) FROM thing") == 1


@pytest.mark.parametrize("role", ["runtime_url", "console_url"])
def test_rows_can_be_written_and_sequences_used(roles: Roles, role: str) -> None:
    url = getattr(roles, role)
    execute(url, "SELECT set_config('app.name', 'b', false); INSERT INTO thing (name) VALUES ('b'); DELETE FROM thing")
    assert value(url, "SELECT nextval('ticket')") == 1


def test_the_sink_writes_past_the_policy_and_does_nothing_else(roles: Roles) -> None:
    execute(roles.sink_url, "CREATE TEMPORARY TABLE batch (id int)")
    execute(roles.sink_url, "INSERT INTO thing (name) VALUES ('b')")
    assert value(roles.console_url, "SELECT count(*) FROM thing") == 2
    for statement in ("SELECT name FROM thing", "DELETE FROM thing", "SELECT nextval('ticket')"):
        with pytest.raises(errors.InsufficientPrivilege):
            execute(roles.sink_url, statement)


@pytest.mark.parametrize("role", ["runtime_url", "console_url", "sink_url"])
@pytest.mark.parametrize(
    "statement",
    ["TRUNCATE thing", "ALTER TABLE thing DISABLE ROW LEVEL SECURITY", "DROP TABLE thing", "CREATE ROLE friend"],
)
def test_neither_truncates_nor_changes_the_schema(roles: Roles, role: str, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        execute(getattr(roles, role), statement)


def test_runtime_makes_no_tables_but_temporary_ones(roles: Roles) -> None:
    execute(roles.runtime_url, "CREATE TEMPORARY TABLE batch (id int)")
    with pytest.raises(errors.InsufficientPrivilege):
        execute(roles.runtime_url, "CREATE TABLE batch (id int)")


@pytest.mark.parametrize("url", ["runtime_url", "sink_url"])
def test_neither_runtime_nor_the_sink_becomes_another_role(roles: Roles, url: str) -> None:
    for other in {roles.console, roles.owner, roles.sink, roles.runtime}:
        if other.name not in getattr(roles, url):
            with pytest.raises(errors.InsufficientPrivilege):
                execute(getattr(roles, url), f"SET ROLE {other.name}")


def test_the_owner_gives_a_function_the_sight_of_console(roles: Roles) -> None:
    execute(roles.owner_url, f"ALTER FUNCTION count_things() OWNER TO {roles.console.name}")
    assert value(roles.runtime_url, "SELECT count_things()") == 1


def test_strangers_do_not_connect(roles: Roles) -> None:
    stranger = f"stranger_{uuid.uuid4().hex}"
    admin_url = os.environ["DATABASE_ADMIN_URL"]
    execute(admin_url, f"CREATE ROLE {stranger} LOGIN PASSWORD 'x'")
    try:
        url = at_database(admin_url, roles.database).split("@")[1]
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(f"postgresql://{stranger}:x@{url}")
    finally:
        execute(admin_url, f"DROP ROLE {stranger}")


def test_provisioning_again_changes_nothing(roles: Roles) -> None:
    query = "SELECT array_agg(defaclacl::text ORDER BY oid)::text FROM pg_default_acl"
    before = value(roles.owner_url, query)
    provision(os.environ["DATABASE_ADMIN_URL"], roles)
    assert value(roles.owner_url, query) == before
    assert value(roles.console_url, "SELECT count(*) FROM thing") == 1
