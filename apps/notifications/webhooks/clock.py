"""The time that decides about deliveries: the database's."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

# How far this process's deliveries live ahead of the database, for drills that need hours to pass.
ahead = timedelta(0)


def now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() + make_interval(secs => %s)", [ahead.total_seconds()])
        moment: datetime = cursor.fetchone()[0]
    return moment
