"""The four database roles, and what each may do. Running it again changes nothing.

owner    changes the schema; may hand SECURITY DEFINER functions over to console.
runtime  what web, edge and workers are: rows only, and row-level security always holds for it.
console  the operator's console: the same rights on rows, past row-level security.
sink     what copies events: past row-level security too, but it may do only what migrations let it, table by table.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql


@dataclass(frozen=True)
class Role:
    name: str
    password: str
    attributes: str

    @classmethod
    def of_url(cls, url: str, attributes: str) -> Role:
        parts = urlsplit(url)
        return cls(unquote(parts.username or ""), unquote(parts.password or ""), attributes)

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)


@dataclass(frozen=True)
class Names:
    """What the roles are called; those of the embedded database by default."""

    owner: str = "owner"
    runtime: str = "runtime"
    console: str = "console"
    sink: str = "sink"


@dataclass(frozen=True)
class Roles:
    """Who connects by which address; `owner_creates_databases` is for tests, which make databases of their own."""

    owner_url: str
    runtime_url: str
    console_url: str
    sink_url: str
    owner_creates_databases: bool = False

    @property
    def owner(self) -> Role:
        return Role.of_url(
            self.owner_url, "NOBYPASSRLS " + ("CREATEDB" if self.owner_creates_databases else "NOCREATEDB")
        )

    @property
    def runtime(self) -> Role:
        return Role.of_url(self.runtime_url, "NOBYPASSRLS NOCREATEDB")

    @property
    def console(self) -> Role:
        return Role.of_url(self.console_url, "BYPASSRLS NOCREATEDB")

    @property
    def sink(self) -> Role:
        return Role.of_url(self.sink_url, "BYPASSRLS NOCREATEDB")

    @property
    def all(self) -> tuple[Role, ...]:
        return (self.owner, self.runtime, self.console, self.sink)

    @property
    def names(self) -> Names:
        return Names(*(role.name for role in self.all))

    @property
    def database(self) -> str:
        return unquote(urlsplit(self.owner_url).path.lstrip("/"))


def provision(admin_url: str, roles: Roles, template: str | None = None) -> None:
    """Make roles and database as they have to be, by a superuser's address.

    With `template` that database gets the same default rights first, and so does every database made from it later.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        # Roles belong to the whole cluster; two who change one at the same time disturb each other.
        connection.execute("SELECT pg_advisory_lock(hashtext('modelyard provision'))")
        for role in roles.all:
            make_role(connection, role)
        # Membership lets the owner give functions away; it does not inherit the right to read past the policies.
        run(connection, "GRANT {} TO {} WITH INHERIT FALSE, SET TRUE", roles.console.identifier, roles.owner.identifier)
        if template:
            grant(at_database(admin_url, template), roles.names)
        make_database(admin_url, roles)
        grant(at_database(admin_url, roles.database), roles.names)


def make_role(connection: psycopg.Connection, role: Role) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role.name]).fetchone()
    if not known:
        run(connection, "CREATE ROLE {}", role.identifier)
    attributes = sql.SQL("LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION " + role.attributes)
    run(connection, "ALTER ROLE {} WITH {} PASSWORD {}", role.identifier, attributes, sql.Literal(role.password))


def make_database(admin_url: str, roles: Roles) -> None:
    database = sql.Identifier(roles.database)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [roles.database]).fetchone()
        if not known:
            run(connection, "CREATE DATABASE {} OWNER {}", database, roles.owner.identifier)
        everyone = sql.SQL(", ").join(role.identifier for role in roles.all)
        run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)
        run(connection, "GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}", database, everyone)


def grant(database_url: str, names: Names | None = None) -> None:
    """Rights on what the owner will make here: rows, never TRUNCATE, which row-level security does not cover."""
    names = names or Names()
    owner, runtime, console, sink = (
        sql.Identifier(name) for name in (names.owner, names.runtime, names.console, names.sink)
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        run(connection, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        run(connection, "GRANT USAGE, CREATE ON SCHEMA public TO {}", owner)
        run(connection, "GRANT USAGE ON SCHEMA public TO {}, {}", runtime, sink)
        # A function can only be given to a role that could have made it in that schema.
        run(connection, "GRANT USAGE, CREATE ON SCHEMA public TO {}", console)
        defaults = "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA public "
        run(connection, defaults + "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}, {}", owner, runtime, console)
        run(connection, defaults + "GRANT USAGE, SELECT ON SEQUENCES TO {}, {}", owner, runtime, console)


def run(connection: psycopg.Connection, text: str, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(text).format(*parts))


def at_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
