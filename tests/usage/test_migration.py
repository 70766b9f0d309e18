"""A ledger that has rows already becomes one by months, with every event once and the sums that it had."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from apps.core.ids import derived_uuid7, uuid7
from tests import database
from tests.isolation import DATABASE, _with_path
from workers.supervisor import provision

pytestmark = pytest.mark.slow

NAME = f"{DATABASE}_before"
ENDED = datetime(2026, 9, 30, 23, 59, 59, 500000, tzinfo=UTC)
ORGANIZATION = """
INSERT INTO organizations_organization (id, slug, name, created_at, requires_second_factor, time_zone,
    suspended_because, audit_retention_days, plan) VALUES (%s, %s, 'Before', now(), false, 'UTC', '', 365, 'business')
"""
EVENT = """
INSERT INTO usage_usageevent (id, organization_id, meter, quantity, occurred_at, dimensions)
VALUES (%s, %s, %s, %s, %s, '{"token": "t"}')
"""


def migrate(*target: str) -> None:
    urls = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_CONSOLE_URL", "DATABASE_SINK_URL")
    environment = {**os.environ, **{name: _with_path(os.environ[name], NAME) for name in urls}}
    command = [sys.executable, "manage.py", "migrate", *target, "--database", "owner", "--verbosity", "0"]
    subprocess.run([*command, "--skip-checks"], cwd=database.ROOT, env=environment, check=True)


@pytest.fixture
def before() -> Iterator[psycopg.Connection]:
    """The database as it was before the ledger had partitions."""
    database._recreate(NAME)
    provision.grant(_with_path(os.environ["DATABASE_ADMIN_URL"], NAME))
    migrate("organizations")
    migrate("usage", "0002")
    with database.admin(NAME) as connection:
        yield connection
    with database.admin() as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(NAME)))


def test_p3_events_of_several_organizations_move_with_their_sums(before: psycopg.Connection) -> None:
    organizations, attempt, old = [uuid7(), uuid7()], uuid7(ENDED - timedelta(minutes=5)), uuid.uuid4()
    near = uuid7(ENDED)
    for number, organization in enumerate(organizations):
        before.execute(ORGANIZATION, [organization, f"before-{number}"])
        for meter, quantity in (("predictions", 3), ("training_ms", 5)):
            event_id = near if number == 0 and meter == "predictions" else uuid7(ENDED - timedelta(days=40))
            before.execute(EVENT, [event_id, organization, meter, quantity, ENDED])
    before.execute(EVENT, [attempt, organizations[0], "job_ms", 7, ENDED])
    before.execute(EVENT, [old, organizations[1], "job_ms", 11, ENDED])
    migrate()
    assert totals(before, "usage_usageevent") == totals(before, "usage_usagesum") == totals(before, "usage_usageday")
    assert totals(before, "usage_usageevent") == sorted([(organizations[0], 15), (organizations[1], 19)])
    partitions = before.execute("SELECT DISTINCT tableoid::regclass::text FROM usage_usageevent").fetchall()
    assert partitions == [("usage_usageevent_2026_09",)]
    ids = {row[0] for row in before.execute("SELECT id FROM usage_usageevent").fetchall()}
    assert near in ids
    assert {derived_uuid7(ENDED, str(attempt)), derived_uuid7(ENDED, str(old))} < ids, "as jobs tell them again"


def test_p3_a_ledger_by_months_goes_back_and_forth_with_every_event_and_its_sums(before: psycopg.Connection) -> None:
    migrate()
    organizations, same, attempt = [uuid7(), uuid7()], uuid7(ENDED), derived_uuid7(ENDED, "attempt")
    for number, organization in enumerate(organizations):
        before.execute(ORGANIZATION, [organization, f"back-{number}"])
        before.execute(EVENT, [same, organization, "predictions", 3 + number, ENDED])
    before.execute(EVENT, [attempt, organizations[0], "job_ms", 7, ENDED])
    before.execute(EVENT, [uuid7(), organizations[1], "training_ms", 5, datetime.now(UTC)])
    every = sorted([(organizations[0], 10), (organizations[1], 9)])
    migrate("usage", "0002")
    assert totals(before, "usage_usageevent") == totals(before, "usage_usagesum") == every
    assert before.execute("SELECT to_regclass('usage_usageday'), to_regproc('usage_first_id')").fetchone() == (
        None,
        None,
    )
    before.execute(EVENT, [uuid7(ENDED), organizations[0], "predictions", 1, ENDED])
    every = sorted([(organizations[0], 11), (organizations[1], 9)])
    assert totals(before, "usage_usagesum") == every, "what comes then is added too"
    migrate()
    assert totals(before, "usage_usageevent") == totals(before, "usage_usagesum") == totals(before, "usage_usageday")
    assert totals(before, "usage_usageevent") == every
    ids = [row[0] for row in before.execute("SELECT id FROM usage_usageevent").fetchall()]
    assert len(set(ids)) == 5
    assert {same, attempt} < set(ids), "as producers tell them again"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        before.execute("UPDATE usage_usageevent SET quantity = 0")


def test_what_an_organization_sees_is_its_own_on_the_way_back(before: psycopg.Connection) -> None:
    migrate()
    migrate("usage", "0002")
    secured = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass"
    for table in ("usage_usageevent", "usage_usagesum"):
        assert before.execute(secured, [table]).fetchone() == (True, True)
        policies = before.execute("SELECT policyname FROM pg_policies WHERE tablename = %s", [table]).fetchall()
        assert policies == [(f"{table}_tenant",)]


def totals(connection: psycopg.Connection, table: str) -> list[Any]:
    query = f"SELECT organization_id, sum(quantity)::int FROM {table} GROUP BY 1 ORDER BY 1"  # noqa: S608
    return connection.execute(query).fetchall()
