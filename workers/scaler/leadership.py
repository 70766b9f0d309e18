"""Which of several scalers works: the one that holds PostgreSQL's advisory lock."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

LOCK = "modelyard:scaler"
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 5000

# A row without a deployment still tells the time.
LIST = """
SELECT clock_timestamp(), deployment_id, tenant_id, current_generation
FROM (VALUES (1)) AS one LEFT JOIN deployments_generations() ON true
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A deployment of any organization. A changed generation means that something else is wanted."""

    organization_id: UUID
    generation: int


class Leadership:
    """The lock lives and dies with its connection, and what is listed is read over the same one: who can read the list
    still leads."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection | None = None

    @property
    def is_held(self) -> bool:
        return self._connection is not None

    def acquire(self) -> bool:
        """Whether this process leads now. Raises psycopg.Error."""
        connection = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="scaler",
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
        )
        row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [LOCK]).fetchone()
        if row and row[0]:
            self._connection = connection
        else:
            connection.close()
        return self.is_held

    def release(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def deployments(self) -> tuple[datetime, dict[UUID, Listed]]:
        """The database's time and every organization's deployments. Raises psycopg.Error when leadership is lost."""
        if self._connection is None:
            raise psycopg.OperationalError("this scaler does not lead")
        rows = self._connection.execute(LIST).fetchall()
        return rows[0][0], {row[1]: Listed(row[2], row[3]) for row in rows if row[1] is not None}
