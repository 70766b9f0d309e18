"""The two locks of tenancy, each tried alone."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.db.models import Count

from apps.core import tenancy
from apps.jobs.models import Job, JobTransition
from apps.organizations.models import Membership
from tests import database

pytestmark = pytest.mark.django_db


def a_job(**fields: Any) -> Job:
    return Job.objects.create(kind="test.kind", queue="default", label="a job", **fields)


@pytest.fixture
def two_jobs(acme: Any, globex: Any) -> tuple[Job, Job]:
    with tenancy.scope(acme.pk):
        ours = a_job()
    with tenancy.scope(globex.pk):
        theirs = a_job()
    return ours, theirs


UNSCOPED_ROUTES = {
    "all": lambda: list(Job.objects.all()),
    "exists": lambda: Job.objects.exists(),
    "count": lambda: Job.objects.count(),
    "get": lambda: Job.objects.get(pk=uuid4()),
    "first": lambda: Job.objects.first(),
    "aggregate": lambda: Job.objects.aggregate(Count("id")),
    "values_list": lambda: list(Job.objects.values_list("id")),
    "in_bulk": lambda: Job.objects.in_bulk([uuid4()]),
    "iterator": lambda: list(Job.objects.iterator()),
    "update": lambda: Job.objects.update(label="x"),
    "delete": lambda: Job.objects.all().delete(),
    "exclude": lambda: list(Job.objects.exclude(label="x")),
    "union": lambda: list(Job.objects.all().union(Job.objects.all())),
    "subquery": lambda: list(Membership.objects.filter(id__in=Job.objects.values("id"))),
    "create": lambda: a_job(),
    "bulk_create": lambda: Job.objects.bulk_create([Job(kind="k", queue="q", label="l")]),
    "get_or_create": lambda: Job.objects.get_or_create(kind="k"),
    "instance delete": lambda: Job(kind="k", queue="q", label="l").delete(),
}


@pytest.mark.parametrize("route", UNSCOPED_ROUTES)
def test_no_row_is_reached_outside_a_tenant(route: str, db: None) -> None:
    with pytest.raises(tenancy.TenantNotSet):
        UNSCOPED_ROUTES[route]()


def test_a_query_written_before_the_scope_follows_the_scope_it_runs_in(two_jobs: Any, acme: Any, globex: Any) -> None:
    ours, theirs = two_jobs
    jobs = Job.objects.all()
    with tenancy.scope(acme.pk):
        assert list(jobs.all()) == [ours]
    with tenancy.scope(globex.pk):
        assert list(jobs.all()) == [theirs]


def test_another_tenants_row_is_neither_saved_nor_deleted(two_jobs: Any, acme: Any) -> None:
    _, theirs = two_jobs
    with tenancy.scope(acme.pk):
        with pytest.raises(tenancy.OtherTenant):
            theirs.save()
        with pytest.raises(tenancy.OtherTenant):
            theirs.delete()
        with pytest.raises(tenancy.OtherTenant):
            Job.objects.bulk_create([Job(kind="k", queue="q", label="l", organization_id=theirs.organization_id)])


def count_in_sql() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM jobs_job")
        return cursor.fetchone()[0]


def test_the_database_hides_other_tenants_from_raw_sql(two_jobs: Any, acme: Any) -> None:
    assert count_in_sql() == 0
    with tenancy.scope(acme.pk):
        assert count_in_sql() == 1
    assert count_in_sql() == 0


def test_the_database_refuses_to_write_another_tenants_row(two_jobs: Any, acme: Any, globex: Any) -> None:
    ours, _ = two_jobs
    with tenancy.scope(acme.pk), connection.cursor() as cursor, pytest.raises(ProgrammingError), transaction.atomic():
        cursor.execute("UPDATE jobs_job SET organization_id = %s WHERE id = %s", [globex.pk, ours.pk])


def test_a_reference_to_another_tenants_row_is_refused_by_the_database(two_jobs: Any, acme: Any) -> None:
    _, theirs = two_jobs
    with tenancy.scope(acme.pk), pytest.raises(IntegrityError), transaction.atomic():
        JobTransition.objects.create(job_id=theirs.pk, status="pending", attempt=0)
        connection.check_constraints()


def test_a_rolled_back_savepoint_leaves_the_scope_as_it_was(two_jobs: Any, acme: Any, globex: Any) -> None:
    ours, theirs = two_jobs
    with tenancy.scope(acme.pk):
        with pytest.raises(ZeroDivisionError), transaction.atomic(), tenancy.scope(globex.pk):
            assert list(Job.objects.all()) == [theirs]
            raise ZeroDivisionError
        assert list(Job.objects.all()) == [ours]
        assert count_in_sql() == 1


def test_a_person_finds_only_the_memberships_that_name_them(acme: Any, globex: Any, outsider: Any) -> None:
    with tenancy.principal(outsider.pk):
        assert [m.organization_id for m in Membership.objects.all()] == [globex.pk]
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM organizations_membership")
            assert cursor.fetchone()[0] == 1
        with pytest.raises(tenancy.TenantNotSet):
            Job.objects.count()


@pytest.mark.django_db(transaction=True)
def test_statements_outside_a_transaction_see_the_tenant_too(two_jobs: Any, acme: Any) -> None:
    assert not connection.in_atomic_block
    with tenancy.scope(acme.pk):
        assert count_in_sql() == 1
        assert Job.objects.count() == 1
    assert count_in_sql() == 0


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_replaced_by_a_new_one(two_jobs: Any, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        assert Job.objects.count() == 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        with database.admin() as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        for _ in range(2):
            with contextlib.suppress(OperationalError):
                Job.objects.count()
        connection.close()
        assert Job.objects.count() == 1
