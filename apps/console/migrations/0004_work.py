from importlib import import_module

from django.db import migrations

from apps.core.postgres.functions import dropped_function, system_function

BEFORE = import_module("apps.console.migrations.0002_erasure_receipts")

# The work of a closed or suspended organization waits: nobody is alarmed by its age.
OPEN = """organization_id NOT IN (
        SELECT id FROM organizations_organization WHERE deletion_requested_at IS NOT NULL OR suspended_at IS NOT NULL
    )"""
# Counts over all organizations, and nothing of any of them.
QUEUED_JOBS = f"""
RETURNS TABLE (queue_name text, job_state text, job_count bigint, oldest_s double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT queue, state, count(*), extract(epoch FROM clock_timestamp() - min(since))::double precision
    FROM jobs_job, LATERAL (
        SELECT
            CASE WHEN status = 'running' THEN 'running' WHEN ready_at IS NULL THEN 'later' ELSE 'ready' END AS state,
            CASE WHEN status = 'running' THEN started_at ELSE ready_at END AS since
    ) AS one
    WHERE status IN ('pending', 'retrying', 'running') AND {OPEN} GROUP BY queue, state
$$
"""  # noqa: S608 - a text of our own
JOB_ALARMS = f"""
RETURNS TABLE (dead_count bigint, expired_count bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT
        (SELECT count(*) FROM jobs_job WHERE status = 'dead' AND discarded_at IS NULL AND {OPEN}),
        (SELECT count(*) FROM jobs_job WHERE status = 'running' AND lease_until < clock_timestamp() AND {OPEN})
$$
"""  # noqa: S608 - a text of our own


class Migration(migrations.Migration):
    dependencies = [("console", "0003_old_claim"), ("organizations", "0009_plan"), ("jobs", "0004_functions")]

    operations = [
        migrations.CreateModel(
            name="OrganizationLoad",
            fields=[],
            options={
                "verbose_name": "load of an organization",
                "verbose_name_plural": "loads of organizations",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("organizations.organization",),
        ),
        dropped_function("console_unfinished_jobs()", BEFORE.UNFINISHED_JOBS),
        system_function("console_queued_jobs()", QUEUED_JOBS),
        system_function("console_job_alarms()", JOB_ALARMS),
    ]
