"""The ledger's months in PostgreSQL."""

from __future__ import annotations

import psycopg
import structlog
from django.db import OperationalError, connection

log = structlog.get_logger(__name__)


def make() -> int:
    """Make what partitions are missing, for months to come and for events that fit nowhere. Returns how many.

    None while a check or a repair reads the ledger: nobody waits for that, and an hour later it is tried again.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT usage_make_partitions()")
            return int(cursor.fetchone()[0])
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        log.warning("partitions_wait", error=str(error))
        return 0
