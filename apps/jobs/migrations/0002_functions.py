from django.db import migrations

from apps.core.postgres.functions import system_function

# Takes the next due job for a worker and writes its history row, in one statement.
CLAIM = """
RETURNS TABLE (job_id uuid, tenant_id uuid, current_attempt integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH next AS (
        SELECT id FROM jobs_job
        WHERE queue = $1 AND status IN ('pending', 'retrying') AND run_at <= clock_timestamp()
        ORDER BY run_at, id FOR UPDATE SKIP LOCKED LIMIT 1
    ), claimed AS (
        UPDATE jobs_job SET
            status = 'running', attempt = attempt + 1, worker = $2, progress = 0, step = '',
            lease_until = clock_timestamp() + make_interval(secs => $3), heartbeat_at = clock_timestamp(),
            started_at = COALESCE(started_at, clock_timestamp())
        FROM next WHERE jobs_job.id = next.id
        RETURNING jobs_job.id, organization_id, attempt
    ), history AS (
        INSERT INTO jobs_jobtransition (id, organization_id, created_at, job_id, status, attempt, worker, reason)
        SELECT uuidv7(), organization_id, clock_timestamp(), id, 'running', attempt, $2, '' FROM claimed
    )
    SELECT id, organization_id, attempt FROM claimed
$$
"""
EXPIRED = """
RETURNS TABLE (job_id uuid, tenant_id uuid, current_attempt integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id, organization_id, attempt FROM jobs_job
    WHERE status = 'running' AND lease_until < clock_timestamp() ORDER BY lease_until LIMIT $1
$$
"""
DUE_QUEUES = """
RETURNS TABLE (name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT queue FROM jobs_job
    WHERE status IN ('pending', 'retrying') AND run_at < clock_timestamp() - interval '1 second'
$$
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        system_function("jobs_claim(text, text, double precision)", CLAIM),
        system_function("jobs_expired(integer)", EXPIRED),
        system_function("jobs_due_queues()", DUE_QUEUES),
    ]
