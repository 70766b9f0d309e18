from importlib import import_module

from django.db import migrations

from apps.core.postgres.functions import replaced_function

before = import_module("apps.jobs.migrations.0004_functions")

# Waits for no lock, because one thread keeps the leases of a whole process. Whoever writes an attempt's effect holds
# its row: nobody can take it meanwhile, so it is still ours whatever its lease says.
BEAT = """
RETURNS TABLE (job_id uuid, is_cancelled boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH ours AS (
        SELECT jobs_job.id FROM jobs_job, unnest($1, $2) AS mine (id, attempt)
        WHERE jobs_job.id = mine.id AND jobs_job.attempt = mine.attempt AND status = 'running'
    ), free AS (
        SELECT id FROM jobs_job WHERE id IN (SELECT id FROM ours) FOR NO KEY UPDATE SKIP LOCKED
    ), kept AS (
        UPDATE jobs_job SET
            lease_until = clock_timestamp() + make_interval(secs => $3), heartbeat_at = clock_timestamp()
        FROM free, unnest($1, $2) AS mine (id, attempt)
        WHERE jobs_job.id = free.id AND jobs_job.id = mine.id AND jobs_job.attempt = mine.attempt
            AND status = 'running' AND lease_until > clock_timestamp()
        RETURNING jobs_job.id, cancel_requested_at IS NOT NULL
    )
    SELECT * FROM kept UNION ALL SELECT id, false FROM ours WHERE id NOT IN (SELECT id FROM free)
$$
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0008_lose")]

    operations = [replaced_function("jobs_beat(uuid[], integer[], double precision)", BEAT, before.BEAT)]
