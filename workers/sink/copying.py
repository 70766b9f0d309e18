"""Rows into PostgreSQL, in one transaction for a batch, each row once however often it comes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import psycopg
from psycopg import sql

from workers.sink.tables import INSERT_ONCE, TABLES, Table

CONNECT_TIMEOUT_S = 5
WORK_MEM = "64MB"  # so that what a batch adds to the sums does not go to disk first


class RowsRefused(Exception):
    """PostgreSQL will never take at least one of these rows as it is."""


class Destination:
    """The database as the sink's role sees it: it writes rows of all organizations, to the sink's tables alone.

    Each thread that writes has a connection of its own.
    """

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connections: dict[int, psycopg.Connection] = {}

    def write(self, table: Table, lines: Sequence[str]) -> None:
        """Commit all rows or none; rows that are there already stay as they are.

        Raises RowsRefused, and psycopg.Error for what may pass later.
        """
        try:
            if table.statement is not INSERT_ONCE or not self._copied(table, lines):
                self._take_in(table, lines)
        # A limit of the program is met by a value that is too long for an index.
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded) as error:
            raise RowsRefused(str(error).partition("\n")[0]) from error

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _copied(self, table: Table, lines: Sequence[str]) -> bool:
        """Straight into the table. False, and nothing is copied, if one of them is there already."""
        try:
            with self._connected().transaction() as transaction:
                self._copy(transaction.connection, _name(table), table, lines)
        except psycopg.errors.UniqueViolation:
            return False
        return True

    def _take_in(self, table: Table, lines: Sequence[str]) -> None:
        with self._connected().transaction() as transaction:
            self._copy(transaction.connection, _incoming(table), table, lines)
            transaction.connection.execute(_statement(table))

    def _connected(self) -> psycopg.Connection:
        connection = self._connections.get(threading.get_ident())
        if connection is None or connection.closed:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                application_name="sink",
                options=f"-c work_mem={WORK_MEM}",
            )
            for table in TABLES:
                connection.execute(_create_incoming(table))
            self._connections[threading.get_ident()] = connection
        return connection

    def _copy(self, connection: psycopg.Connection, into: sql.Identifier, table: Table, lines: Sequence[str]) -> None:
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(into, _columns(table))
        with connection.cursor() as cursor, cursor.copy(command) as copy:
            copy.write("".join(lines))


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(table.name)


def _columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)


def _incoming(table: Table) -> sql.Identifier:
    return sql.Identifier("pg_temp", f"incoming_{table.name}")


def _create_incoming(table: Table) -> sql.Composed:
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.sql_type)) for column in table.columns
    )
    # Temporary tables die with the session, so its rows do with the transaction, and other sinks do not see them.
    return sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DELETE ROWS").format(
        sql.Identifier(f"incoming_{table.name}"), columns
    )


def _statement(table: Table) -> sql.Composed:
    return sql.SQL(table.statement).format(target=_name(table), columns=_columns(table), incoming=_incoming(table))
