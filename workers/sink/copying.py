"""Rows into PostgreSQL, in one transaction for a batch, each row once however often it comes."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql

from workers.sink.tables import TABLES, Line, Table

CONNECT_TIMEOUT_S = 5


class RowsRefused(Exception):
    """PostgreSQL will never take at least one of these rows as it is."""


class Destination:
    """The database as the runtime role sees it: row-level security stays on, one organization at a time."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection | None = None

    def write(self, table: Table, lines: Sequence[Line]) -> None:
        """Commit all rows or none; rows that are there already stay as they are.

        Raises RowsRefused, and psycopg.Error for what may pass later.
        """
        connection = self._connected()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                self._copy(cursor, table, lines)
                for organization_id in sorted({line.organization_id for line in lines}):
                    cursor.execute("SELECT set_config('app.tenant', %s, true)", [organization_id])
                    cursor.execute(_statement(table), [organization_id])
        # A limit of the program is met by a value that is too long for an index.
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded) as error:
            raise RowsRefused(str(error).partition("\n")[0]) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="sink"
            )
            for table in TABLES:
                connection.execute(_create_incoming(table))
            self._connection = connection
        return self._connection

    def _copy(self, cursor: psycopg.Cursor, table: Table, lines: Sequence[Line]) -> None:
        with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(_incoming(table))) as copy:
            copy.write("".join([line.text for line in lines]))


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
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    return sql.SQL(table.statement).format(
        target=sql.Identifier(table.name), columns=columns, incoming=_incoming(table)
    )
