from importlib import import_module

from django.db import migrations

from apps.core.postgres.functions import replaced_function

before = import_module("apps.jobs.migrations.0004_functions")

# What wakes those who wait for a job: our workers hear of a queue, outside ones of a kind of their organization.
BELL = "CASE queue WHEN 'outside' THEN 'outside:' || organization_id || ':' || kind ELSE queue::text END"

SETTLE = f"""
RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ended text;
BEGIN
    SELECT status INTO ended FROM jobs_job WHERE id = $1 AND status IN ('succeeded', 'failed', 'cancelled', 'dead');
    IF ended IS NULL THEN
        RETURN;
    END IF;
    -- Two jobs that end together may free the same ones: always in one order.
    PERFORM FROM jobs_job WHERE id IN (SELECT job_id FROM jobs_jobdependency WHERE needs_id = $1)
    ORDER BY id FOR NO KEY UPDATE;
    IF ended = 'succeeded' THEN
        RETURN QUERY WITH freed AS (
            UPDATE jobs_job SET
                waits_for = waits_for - 1,
                ready_at = CASE WHEN waits_for = 1 AND run_at <= clock_timestamp() THEN clock_timestamp() END
            WHERE id IN (SELECT job_id FROM jobs_jobdependency WHERE needs_id = $1)
                AND status IN ('pending', 'retrying') AND waits_for > 0
            RETURNING queue, organization_id, kind, ready_at
        )
        SELECT DISTINCT {BELL} FROM freed WHERE ready_at IS NOT NULL;
    ELSE
        UPDATE jobs_job SET doomed_by_id = $1
        WHERE id IN (SELECT job_id FROM jobs_jobdependency WHERE needs_id = $1)
            AND status IN ('pending', 'retrying') AND doomed_by_id IS NULL;
    END IF;
END
$$
"""  # noqa: S608 - of constants alone

PROMOTE = f"""
RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH due AS (
        SELECT id FROM jobs_job
        WHERE status IN ('pending', 'retrying') AND ready_at IS NULL AND waits_for = 0
            AND doomed_by_id IS NULL AND run_at <= clock_timestamp()
        ORDER BY run_at LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
    ), promoted AS (
        UPDATE jobs_job SET ready_at = clock_timestamp() FROM due WHERE jobs_job.id = due.id
        RETURNING queue, organization_id, kind
    )
    SELECT DISTINCT {BELL} FROM promoted
$$
"""  # noqa: S608 - of constants alone


class Migration(migrations.Migration):
    dependencies = [("jobs", "0004_functions")]

    operations = [
        replaced_function("jobs_settle(uuid)", SETTLE, before.SETTLE),
        replaced_function("jobs_promote()", PROMOTE, before.PROMOTE),
    ]
