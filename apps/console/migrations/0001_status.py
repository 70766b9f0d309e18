from django.db import migrations, models

from apps.core.postgres.functions import system_function

# Counts over all organizations, and nothing of any of them.
UNFINISHED_JOBS = """
RETURNS TABLE (queue_name text, job_status text, job_count bigint, oldest_s double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT queue, status, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::double precision
    FROM jobs_job WHERE status IN ('pending', 'retrying', 'running') GROUP BY queue, status
$$
"""
REPLICAS = """
RETURNS TABLE (replica_status text, replica_count bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT status, count(*) FROM deployments_replica GROUP BY status
$$
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [("jobs", "0001_initial"), ("deployments", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name='ProbeHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('component', models.CharField(max_length=20)),
                ('hour', models.DateTimeField(db_index=True)),
                ('probe_count', models.PositiveIntegerField()),
                ('ok_count', models.PositiveIntegerField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('component', 'hour'), name='console_probe_hour_once')],
            },
        ),
        migrations.CreateModel(
            name='ProbeResult',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('component', models.CharField(max_length=20)),
                ('at', models.DateTimeField(db_index=True)),
                ('is_ok', models.BooleanField()),
                ('latency_ms', models.FloatField(null=True)),
                ('error_code', models.CharField(blank=True, max_length=30)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('component', 'at'), name='console_probe_once')],
            },
        ),
        system_function("console_unfinished_jobs()", UNFINISHED_JOBS),
        system_function("console_replicas()", REPLICAS),
    ]
