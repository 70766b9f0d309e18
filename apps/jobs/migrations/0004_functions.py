from typing import Any

from django.conf import settings
from django.db import migrations

from apps.core.postgres.functions import system_function

# Each change of a job's status is a row of its history, whoever makes it and however. An attempt's end names its worker.
HISTORY = """
CREATE FUNCTION jobs_write_history() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    by_worker text := NEW.worker;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.status = 'running' THEN
        by_worker := OLD.worker;
    END IF;
    INSERT INTO jobs_jobtransition (id, organization_id, created_at, job_id, status, attempt, worker, reason)
    VALUES (uuidv7(), NEW.organization_id, clock_timestamp(), NEW.id, NEW.status, NEW.attempt, by_worker, NEW.reason);
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_history_begins AFTER INSERT ON jobs_job
    FOR EACH ROW EXECUTE FUNCTION jobs_write_history();
CREATE TRIGGER jobs_history_goes_on AFTER UPDATE OF status, attempt ON jobs_job
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status OR OLD.attempt <> NEW.attempt)
    EXECUTE FUNCTION jobs_write_history()
"""
NO_HISTORY = """
DROP TRIGGER jobs_history_begins ON jobs_job;
DROP TRIGGER jobs_history_goes_on ON jobs_job;
DROP FUNCTION jobs_write_history()
"""

# Takes the next job for a worker. Organizations take turns: the search begins behind the one that was served last.
# An organization's claims go through a lock one after the other, so that its limit is exact. Only the first lock is
# waited for: whoever holds one waits for nobody. Its plans never depend on the arguments; to plan anew for each claim
# took a third of its time.
CLAIM = """
RETURNS TABLE (
    job_id uuid, tenant_id uuid, current_attempt integer, job_kind text, job_input jsonb, limit_s integer,
    asked_by_request text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    worker_name ALIAS FOR $2;
    lease_seconds ALIAS FOR $3;
    served_last ALIAS FOR $4;
    limits ALIAS FOR $5;
    only_idle ALIAS FOR $6;
    open_queues text[];
    candidate uuid := served_last;
    has_wrapped boolean := false;
    has_lock boolean := false;
    allowed integer;
    picked uuid;
BEGIN
    SELECT array_agg(name) INTO open_queues FROM unnest($1) AS name
    WHERE NOT EXISTS (SELECT FROM jobs_queue WHERE jobs_queue.name = name.name AND drained_at IS NOT NULL);
    IF open_queues IS NULL THEN
        RETURN;
    END IF;
    LOOP
        SELECT following.organization_id INTO candidate
        FROM unnest(open_queues) AS name, LATERAL (
            SELECT organization_id FROM jobs_job
            WHERE queue = name.name AND organization_id > candidate
                AND status IN ('pending', 'retrying') AND ready_at IS NOT NULL
            ORDER BY organization_id LIMIT 1
        ) AS following ORDER BY 1 LIMIT 1;
        IF candidate IS NULL AND has_wrapped OR has_wrapped AND candidate > served_last THEN
            RETURN;
        END IF;
        IF candidate IS NULL THEN
            has_wrapped := true;
            candidate := '00000000-0000-0000-0000-000000000000';
            CONTINUE;
        END IF;

        SELECT (limits ->> plan)::integer INTO allowed FROM organizations_organization
        WHERE id = candidate AND deletion_requested_at IS NULL AND suspended_at IS NULL;
        CONTINUE WHEN allowed IS NULL OR only_idle AND EXISTS (
            SELECT FROM jobs_job
            WHERE organization_id = candidate AND queue = ANY (open_queues) AND status = 'running'
        );
        IF NOT has_lock THEN
            PERFORM pg_advisory_xact_lock(hashtextextended('jobs of ' || candidate, 0));
            has_lock := true;
        ELSE
            CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended('jobs of ' || candidate, 0));
        END IF;
        CONTINUE WHEN allowed <= (
            SELECT count(*) FROM jobs_job
            WHERE organization_id = candidate AND status = 'running' AND queue <> 'outside'
        );

        SELECT best.id INTO picked
        FROM unnest(open_queues) AS name, LATERAL (
            SELECT id, priority, ready_at FROM jobs_job
            WHERE queue = name.name AND organization_id = candidate
                AND status IN ('pending', 'retrying') AND ready_at IS NOT NULL
            ORDER BY priority DESC, ready_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        ) AS best ORDER BY best.priority DESC, best.ready_at, best.id LIMIT 1;
        CONTINUE WHEN picked IS NULL;

        RETURN QUERY UPDATE jobs_job SET
            status = 'running', attempt = attempt + 1, worker = worker_name, reason = '', progress = 0, step = '',
            lease_until = clock_timestamp() + make_interval(secs => lease_seconds),
            heartbeat_at = clock_timestamp(), started_at = clock_timestamp()
        WHERE id = picked
        RETURNING id, organization_id, attempt, kind::text, input, time_limit_s, request_id::text;
        RETURN;
    END LOOP;
END
$$
"""

# What wakes those who wait for a job: our workers hear of a queue, outside ones of a kind of their organization.
BELL = "CASE queue WHEN 'outside' THEN 'outside:' || organization_id || ':' || kind ELSE queue::text END"

# What a job's end means for those that wait for it. Returns the bells to ring for those that became ready.
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

# The quick end of an attempt that has nothing to write but its result, and the next job, in one transaction.
SUCCEED_AND_CLAIM = """
RETURNS TABLE (
    has_succeeded boolean, rung text[], job_id uuid, tenant_id uuid, current_attempt integer, job_kind text,
    job_input jsonb, limit_s integer, asked_by_request text
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    is_needed boolean;
BEGIN
    UPDATE jobs_job SET
        status = 'succeeded', result = $3, reason = '', progress = 1, step = '', error_code = '', error_class = '',
        error_message = '', traceback = '', lease_until = NULL, finished_at = clock_timestamp()
    WHERE id = $1 AND attempt = $2 AND worker = $5 AND status = 'running' AND cancel_requested_at IS NULL
    RETURNING has_dependents INTO is_needed;
    IF NOT FOUND THEN
        RETURN QUERY SELECT false, '{}'::text[], NULL::uuid, NULL::uuid, 0, '', '{}'::jsonb, 0, '';
        RETURN;
    END IF;
    IF is_needed THEN
        rung := array(SELECT jobs_settle($1));
    END IF;
    RETURN QUERY SELECT true, coalesce(rung, '{}'), next.*
    FROM (SELECT) AS always LEFT JOIN jobs_claim($4, $5, $6, $7, $8, $9) AS next ON true;
END
$$
"""

# Waits for no lock, because one thread keeps the leases of a whole process. Whoever writes an attempt's effect holds
# its row: nobody can take it meanwhile, so it is still ours whatever its lease says.
BEAT = """
RETURNS TABLE (job_id uuid, is_cancelled boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH ours AS (
        SELECT jobs_job.id FROM jobs_job, unnest($1, $2) AS mine (id, attempt)
        WHERE jobs_job.id = mine.id AND jobs_job.attempt = mine.attempt AND worker = $3 AND status = 'running'
    ), free AS (
        SELECT id FROM jobs_job WHERE id IN (SELECT id FROM ours) FOR NO KEY UPDATE SKIP LOCKED
    ), kept AS (
        UPDATE jobs_job SET
            lease_until = clock_timestamp() + make_interval(secs => $4), heartbeat_at = clock_timestamp()
        FROM free, unnest($1, $2) AS mine (id, attempt)
        WHERE jobs_job.id = free.id AND jobs_job.id = mine.id AND jobs_job.attempt = mine.attempt
            AND worker = $3 AND status = 'running' AND lease_until > clock_timestamp()
        RETURNING jobs_job.id, cancel_requested_at IS NOT NULL
    )
    SELECT * FROM kept UNION ALL SELECT id, false FROM ours WHERE id NOT IN (SELECT id FROM free)
$$
"""

# Ends the leases of a worker that is known to be dead, so that nobody waits for them to run out.
LOSE = """
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE jobs_job SET lease_until = clock_timestamp()
    WHERE status = 'running' AND queue <> 'outside' AND worker = $1
$$
"""

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

DOOMED = """
RETURNS TABLE (job_id uuid, tenant_id uuid, current_attempt integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id, organization_id, attempt FROM jobs_job
    WHERE status IN ('pending', 'retrying') AND doomed_by_id IS NOT NULL ORDER BY id LIMIT $1
$$
"""

UNTOLD = """
RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH RECURSIVE tenant AS (
        (
            SELECT organization_id FROM jobs_job
            WHERE status IN ('succeeded', 'failed', 'cancelled', 'dead') AND told_at IS NULL
            ORDER BY organization_id LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT organization_id FROM jobs_job
            WHERE status IN ('succeeded', 'failed', 'cancelled', 'dead') AND told_at IS NULL
                AND organization_id > tenant.organization_id
            ORDER BY organization_id LIMIT 1
        ) FROM tenant WHERE tenant.organization_id IS NOT NULL
    )
    SELECT organization_id FROM tenant WHERE organization_id IS NOT NULL
$$
"""

CLAIM_ARGUMENTS = "text[], text, double precision, uuid, jsonb, boolean"


def mark_old_ends_as_told(apps: Any, schema_editor: Any) -> None:
    """What ended before was told when it ended."""
    console = schema_editor.quote_name(settings.DATABASES["console"]["USER"])
    schema_editor.execute(f"SET LOCAL ROLE {console}", params=None)
    schema_editor.execute("UPDATE jobs_job SET told_at = finished_at WHERE finished_at IS NOT NULL", params=None)
    schema_editor.execute("RESET ROLE", params=None)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_tracker"), ("organizations", "0009_plan")]

    operations = [
        migrations.RunPython(mark_old_ends_as_told, migrations.RunPython.noop),
        migrations.RunSQL(HISTORY, NO_HISTORY),
        system_function(f"jobs_claim({CLAIM_ARGUMENTS})", CLAIM),
        system_function("jobs_settle(uuid)", SETTLE),
        system_function(f"jobs_succeed_and_claim(uuid, integer, jsonb, {CLAIM_ARGUMENTS})", SUCCEED_AND_CLAIM),
        system_function("jobs_beat(uuid[], integer[], text, double precision)", BEAT),
        system_function("jobs_lose(text)", LOSE),
        system_function("jobs_promote()", PROMOTE),
        system_function("jobs_doomed(integer)", DOOMED),
        system_function("jobs_untold()", UNTOLD),
    ]
