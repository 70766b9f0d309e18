from django.db import migrations

from apps.core.postgres.functions import system_function

# Ends the leases of a worker that is known to be dead, so that nobody waits for them to run out.
LOSE = """
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE jobs_job SET lease_until = clock_timestamp()
    WHERE status = 'running' AND queue <> 'outside' AND worker = $1
$$
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0007_ready_outside")]

    operations = [system_function("jobs_lose(text)", LOSE)]
