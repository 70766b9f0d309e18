"""The palette over 100,000 rows of every kind: its queries go by indexes and read a bounded number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from psycopg import sql

from apps.console.palette import objects
from apps.core import tenancy
from apps.core.actors import Actor
from tests import database
from tests.factories import world
from tests.isolation import DATABASE

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ROWS = 100_000
READ_AT_MOST = 2 * objects.NEWEST
NUMBERED_ID = "lpad(to_hex(x'19000000000'::bigint + n), 32, '0')::uuid"
COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND attgenerated = ''"


def multiply(admin: psycopg.Connection, table: str, **changed: str) -> None:
    """ROWS more copies of the table's newest row, each with an id of its own and the named columns changed."""
    changed = {"id": NUMBERED_ID, **changed}
    names = [name for (name,) in admin.execute(COLUMNS, [table])]
    values = [sql.SQL(changed[name]) if name in changed else sql.Identifier(name) for name in names]
    statement = sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {values}"
        " FROM (SELECT * FROM {table} ORDER BY id DESC LIMIT 1) AS newest, generate_series(1, {rows}) AS n"
    )
    names_sql, values_sql = sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(values)
    admin.execute(statement.format(table=sql.Identifier(table), names=names_sql, values=values_sql, rows=ROWS))
    admin.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))


@pytest.fixture
def crowded(acme: Any, actor: Actor) -> Iterator[Any]:
    world.build(acme, actor, "churn")
    with database.admin(DATABASE) as admin:
        # Triggers and foreign keys would be checked a million times.
        admin.execute("SET session_replication_role = 'replica'")
        for table in ("datasets_dataset", "registry_model", "organizations_project"):
            multiply(admin, table, name="'churn ' || n")
        multiply(admin, "training_trainingrun", name="'churn ' || n", job_id=NUMBERED_ID)
        multiply(admin, "deployments_deployment", name="'churn-' || n")
        multiply(admin, "jobs_job", label="'churn ' || n")
        multiply(admin, "ratelimits_policy", name="'churn ' || n")
        multiply(admin, "accounts_user", email="'churn' || n || '@acme.test'")
        multiply(admin, "organizations_membership", user_id=NUMBERED_ID)
    with tenancy.scope(acme.pk):
        yield acme


def plan_steps(kind: objects.Kind, query: str, organization: Any) -> Iterator[dict[str, Any]]:
    """What PostgreSQL did for each query that the palette sends."""
    with CaptureQueriesContext(connection) as seen:
        assert kind.found(query, organization)
    for captured in seen.captured_queries:
        # Outside of a transaction a statement stands behind the one that tells its tenant.
        scope, _, behind = captured["sql"].partition("; ")
        statement = behind if "set_config" in scope else captured["sql"]
        if statement.startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement)
                yield from _steps(cursor.fetchone()[0][0]["Plan"])


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _steps(below)


def test_nothing_reads_a_whole_table(crowded: Any) -> None:
    for kind, query in product(objects.KINDS, ("churn 5", "churn-5", "churn5", "nobody")):
        steps = list(plan_steps(kind, query, crowded))
        assert steps
        for step in steps:
            assert step["Node Type"] != "Seq Scan", (kind.key, query, step)
            read = (step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"]
            assert read <= READ_AT_MOST, (kind.key, query, step)
