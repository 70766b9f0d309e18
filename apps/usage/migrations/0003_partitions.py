"""The ledger by months, with all its dimensions, and its sums by half hour and by day, made anew from its rows."""

from importlib import import_module
from typing import Any

import apps.core.ids
import apps.core.tenancy.constraints
import django.db.models.deletion
import django.db.models.fields.json
import django.db.models.functions.comparison
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

from apps.core.postgres.grants import granted_to_sink

PREPARE = """
DROP TRIGGER usage_sums ON usage_usageevent;
DROP FUNCTION usage_add_to_sums();
ALTER TABLE usage_usageevent RENAME TO usage_usageevent_before;
ALTER TABLE usage_usageevent_before NO FORCE ROW LEVEL SECURITY;

CREATE FUNCTION usage_first_id(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
CREATE FUNCTION usage_derived_id(at timestamptz, name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT overlay(
        replace(usage_first_id(at)::text, '-', '')
        PLACING '7' || substr(hashed, 1, 3) || '8' || substr(hashed, 4, 15) FROM 13
    )::uuid
    FROM encode(sha256(convert_to(name, 'UTF8')), 'hex') AS hashed
$$;
CREATE FUNCTION usage_is_derived(id uuid, at timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT left(id::text, 13) = left(usage_first_id(at)::text, 13) AND substr(id::text, 20, 1) = '8'
$$;

CREATE TABLE usage_usageevent (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    meter text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL,
    cost_micro_usd bigint,
    occurred_at timestamptz NOT NULL,
    dimensions jsonb NOT NULL,
    token text COLLATE "C" GENERATED ALWAYS AS (COALESCE(left(dimensions ->> 'token', 100), '')) STORED,
    "user" text COLLATE "C" GENERATED ALWAYS AS (COALESCE(left(dimensions ->> 'user', 100), '')) STORED,
    model text COLLATE "C" GENERATED ALWAYS AS (COALESCE(left(dimensions ->> 'model', 100), '')) STORED,
    deployment text COLLATE "C" GENERATED ALWAYS AS (COALESCE(left(dimensions ->> 'deployment', 100), '')) STORED,
    prompt text COLLATE "C" GENERATED ALWAYS AS (COALESCE(left(dimensions ->> 'prompt', 100), '')) STORED,
    tag text COLLATE "C" GENERATED ALWAYS AS (COALESCE(left(dimensions ->> 'tag', 100), '')) STORED,
    CONSTRAINT usage_event_near_its_id CHECK (
        uuid_extract_version(id) = 7
        AND occurred_at - uuid_extract_timestamp(id) BETWEEN interval '-24 hours' AND interval '24 hours'
    )
) PARTITION BY RANGE (id);
CREATE TABLE usage_usageevent_default PARTITION OF usage_usageevent DEFAULT;
"""

# Called by the runtime role every night, and run as the owner of the tables. A partition is attached and not created as
# one, because that does not wait for those who read and write the others. Of what the default partition took, the
# months that may be real get their own.
MAKE_PARTITIONS = """
CREATE FUNCTION usage_make_partitions() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
    ahead CONSTANT timestamptz := date_trunc('month', now(), 'UTC') + interval '3 months';
    month timestamptz;
    partition text;
    first_id uuid;
    next_id uuid;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('usage_make_partitions'));
    FOR month IN
        SELECT generate_series(date_trunc('month', now(), 'UTC'), ahead, '1 month', 'UTC')
        UNION
        SELECT DISTINCT date_trunc('month', uuid_extract_timestamp(id), 'UTC') FROM usage_usageevent_default
        WHERE id >= usage_first_id('2020-01-01T00:00:00Z') AND id < usage_first_id(ahead)
        ORDER BY 1
    LOOP
        partition := 'usage_usageevent_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass(partition) IS NOT NULL;
        first_id := usage_first_id(month);
        next_id := usage_first_id(date_add(month, '1 month', 'UTC'));
        LOCK TABLE usage_usageevent_default IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE %I (LIKE usage_usageevent INCLUDING ALL)', partition);
        EXECUTE format(
            'WITH moved AS (DELETE FROM usage_usageevent_default WHERE id >= $1 AND id < $2 RETURNING *) '
            'INSERT INTO %I (id, organization_id, created_at, meter, quantity, cost_micro_usd, occurred_at, dimensions)'
            'SELECT id, organization_id, created_at, meter, quantity, cost_micro_usd, occurred_at, dimensions '
            'FROM moved', partition
        ) USING first_id, next_id;
        EXECUTE format(
            'ALTER TABLE usage_usageevent ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, first_id, next_id
        );
        PERFORM usage_close_partition(partition);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION usage_make_partitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_make_partitions() TO {runtime};
"""

# The parent's policies and its trigger hold only for who goes through the parent.
CLOSE_PARTITION = """
CREATE FUNCTION usage_close_partition(partition text) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('REVOKE ALL ON %I FROM {runtime}, {console}', partition);
    EXECUTE format('GRANT SELECT ON %I TO {console}', partition);
END
$$;
REVOKE ALL ON FUNCTION usage_close_partition(text) FROM PUBLIC;
SELECT usage_close_partition('usage_usageevent_default');
"""

# Only rows that were really added are in the transition table, so what arrives twice is added once. The order keeps two
# writers from waiting for each other.
ADD_TO_SUMS = """
CREATE FUNCTION usage_add_to_sums() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    WITH halves AS MATERIALIZED (
        SELECT organization_id, date_bin('30 minutes', occurred_at, '2000-01-01T00:00:00Z') AS at,
            meter, token, "user", model, deployment, prompt, tag,
            sum(quantity)::bigint AS quantity, sum(cost_micro_usd)::bigint AS cost_micro_usd, count(*) AS event_count
        FROM added
        GROUP BY organization_id, date_bin('30 minutes', occurred_at, '2000-01-01T00:00:00Z'),
            meter, token, "user", model, deployment, prompt, tag
    ), summed AS (
        INSERT INTO usage_usagesum AS total
            (id, organization_id, created_at, at, meter, token, "user", model, deployment, prompt, tag,
            quantity, cost_micro_usd, event_count)
        SELECT uuidv7(), organization_id, now(), at, meter, token, "user", model, deployment, prompt, tag,
            quantity, cost_micro_usd, event_count
        FROM halves
        ORDER BY organization_id, at, meter, token, "user", model, deployment, prompt, tag
        ON CONFLICT (organization_id, at, meter, token, "user", model, deployment, prompt, tag) DO UPDATE SET
            quantity = total.quantity + EXCLUDED.quantity,
            event_count = total.event_count + EXCLUDED.event_count,
            cost_micro_usd = CASE
                WHEN total.cost_micro_usd IS NULL THEN EXCLUDED.cost_micro_usd
                ELSE total.cost_micro_usd + COALESCE(EXCLUDED.cost_micro_usd, 0)
            END
    )
    INSERT INTO usage_usageday AS total
        (id, organization_id, created_at, day, meter, token, "user", model, deployment, prompt, tag,
        quantity, cost_micro_usd, event_count)
    SELECT uuidv7(), organization_id, now(), (at AT TIME ZONE 'UTC')::date AS utc_day,
        meter, token, "user", model, deployment, prompt, tag,
        sum(quantity)::bigint, sum(cost_micro_usd)::bigint, sum(event_count)::bigint
    FROM halves
    GROUP BY organization_id, utc_day, meter, token, "user", model, deployment, prompt, tag
    ORDER BY organization_id, utc_day, meter, token, "user", model, deployment, prompt, tag
    ON CONFLICT (organization_id, day, meter, token, "user", model, deployment, prompt, tag) DO UPDATE SET
        quantity = total.quantity + EXCLUDED.quantity,
        event_count = total.event_count + EXCLUDED.event_count,
        cost_micro_usd = CASE
            WHEN total.cost_micro_usd IS NULL THEN EXCLUDED.cost_micro_usd
            ELSE total.cost_micro_usd + COALESCE(EXCLUDED.cost_micro_usd, 0)
        END;
    RETURN NULL;
END
$$;
CREATE TRIGGER usage_sums AFTER INSERT ON usage_usageevent
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION usage_add_to_sums();

CREATE FUNCTION usage_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The ledger is append-only: % is refused.', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER usage_append_only BEFORE UPDATE ON usage_usageevent
    FOR EACH STATEMENT EXECUTE FUNCTION usage_refuse_change();
"""

# An id that does not tell the event's time is replaced by one that does, made of that time and the id that was. So is
# each of a job's attempt, as jobs make it from now on: a job that runs again tells of its first attempts once more. An
# attempt that was here before has such an id already.
MOVE = """
INSERT INTO usage_usageevent
    (id, organization_id, created_at, meter, quantity, cost_micro_usd, occurred_at, dimensions)
SELECT
    CASE
        WHEN uuid_extract_version(id) = 7
            AND occurred_at - uuid_extract_timestamp(id) BETWEEN interval '-24 hours' AND interval '24 hours'
            AND (meter <> 'job_ms' OR usage_is_derived(id, occurred_at))
        THEN id
        ELSE usage_derived_id(occurred_at, id::text)
    END,
    organization_id, created_at, meter, quantity, cost_micro_usd, occurred_at, dimensions
FROM usage_usageevent_before;
DROP TABLE usage_usageevent_before;
SELECT usage_make_partitions();
ALTER TABLE usage_usageevent ADD CONSTRAINT usage_usageevent_key PRIMARY KEY (organization_id, id);
CREATE INDEX usage_event_by_time ON usage_usageevent (organization_id, occurred_at);
"""


# Back to one table, in which an id is one event whosever it is: of two organizations' events with the same id, the
# second gets another. Sums of the events as they were then are made anew by `RESTORE`, behind the tables of sums.
MOVE_BACK = """
ALTER TABLE usage_usageevent RENAME TO usage_usageevent_by_month;
ALTER TABLE usage_usageevent_by_month NO FORCE ROW LEVEL SECURITY;
ALTER TABLE usage_usageevent_by_month RENAME CONSTRAINT usage_usageevent_key TO usage_usageevent_by_month_key;
CREATE TABLE usage_usageevent (
    id uuid NOT NULL PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    meter text NOT NULL,
    quantity bigint NOT NULL,
    cost_micro_usd bigint,
    occurred_at timestamptz NOT NULL,
    dimensions jsonb NOT NULL,
    model text GENERATED ALWAYS AS (dimensions ->> 'model') STORED,
    token text GENERATED ALWAYS AS (dimensions ->> 'token') STORED,
    organization_id uuid NOT NULL
);
INSERT INTO usage_usageevent
    (id, organization_id, created_at, meter, quantity, cost_micro_usd, occurred_at, dimensions)
SELECT
    CASE
        WHEN row_number() OVER (PARTITION BY id ORDER BY organization_id) = 1 THEN id
        ELSE usage_derived_id(occurred_at, organization_id::text || id::text)
    END,
    organization_id, created_at, meter, quantity, cost_micro_usd, occurred_at, dimensions
FROM usage_usageevent_by_month;
DROP TABLE usage_usageevent_by_month;
ALTER TABLE usage_usageevent ADD CONSTRAINT usage_usageevent_key UNIQUE (organization_id, id);
ALTER TABLE usage_usageevent ADD CONSTRAINT usage_usageevent_organization FOREIGN KEY (organization_id)
    REFERENCES organizations_organization (id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX usage_usageevent_organization_id ON usage_usageevent (organization_id);
CREATE INDEX usage_by_time ON usage_usageevent (organization_id, occurred_at)
    INCLUDE (meter, quantity, cost_micro_usd, model, token);
"""

RESTORE = """
DROP FUNCTION usage_is_derived(uuid, timestamptz);
DROP FUNCTION usage_derived_id(timestamptz, text);
DROP FUNCTION usage_first_id(timestamptz);
INSERT INTO usage_usagesum
    (id, organization_id, created_at, at, meter, model, token, quantity, cost_micro_usd, event_count)
SELECT uuidv7(), organization_id, now(), half_hour, meter, model, token,
    sum(quantity)::bigint, sum(cost_micro_usd)::bigint, count(*)
FROM (
    SELECT organization_id, date_bin('30 minutes', occurred_at, '2000-01-01T00:00:00Z') AS half_hour,
        meter, COALESCE(model, '') AS model, COALESCE(token, '') AS token, quantity, cost_micro_usd
    FROM usage_usageevent
) AS event
GROUP BY organization_id, half_hour, meter, model, token;
"""

SECURE = """
ALTER TABLE usage_usageevent ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_usageevent FORCE ROW LEVEL SECURITY;
CREATE POLICY usage_usageevent_tenant ON usage_usageevent
    USING (organization_id = (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid))
    WITH CHECK (organization_id = (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid));
"""


def for_roles(statements: str, back: str) -> migrations.RunPython:
    """A step that runs `statements`, in which the roles' names stand in braces, and `back` on the way back."""

    def run(apps: Any, schema_editor: Any) -> None:
        text = statements
        for role, alias in (("{runtime}", "default"), ("{console}", "console")):
            text = text.replace(role, schema_editor.quote_name(settings.DATABASES[alias]["USER"]))
        schema_editor.execute(text, params=None)

    def run_back(apps: Any, schema_editor: Any) -> None:
        schema_editor.execute(back, params=None)

    return migrations.RunPython(run, run_back)


def dimension(name: str) -> models.GeneratedField:
    return models.GeneratedField(
        db_persist=True,
        expression=django.db.models.functions.comparison.Coalesce(
            django.db.models.functions.text.Left(
                django.db.models.fields.json.KeyTextTransform(name, "dimensions"), 100
            ),
            models.Value(""),
        ),
        output_field=models.TextField(db_collation="C"),
    )


def total(name: str, time: str, time_field: models.Field, once: str) -> migrations.CreateModel:
    texts = ("meter", "token", "user", "model", "deployment", "prompt", "tag")
    return migrations.CreateModel(
        name=name,
        fields=[
            ("id", models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            *((text, models.TextField(db_collation="C")) for text in texts),
            ("quantity", models.BigIntegerField()),
            ("cost_micro_usd", models.BigIntegerField(null=True)),
            ("event_count", models.BigIntegerField()),
            (time, time_field),
            (
                "organization",
                models.ForeignKey(
                    editable=False,
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="+",
                    to="organizations.organization",
                ),
            ),
        ],
        options={
            "abstract": False,
            "base_manager_name": "objects",
            "default_manager_name": "objects",
            "constraints": [
                models.UniqueConstraint(fields=("organization", time, *texts), name=once),
                apps.core.tenancy.constraints.RowLevelSecurity(name=f"usage_{name.lower()}_tenant"),
                models.UniqueConstraint(fields=("organization", "id"), name=f"usage_{name.lower()}_key"),
            ],
        },
    )


class Migration(migrations.Migration):
    dependencies = [
        ("organizations", "0001_initial"),
        ("usage", "0002_sums"),
    ]

    operations = [
        migrations.RunSQL(PREPARE, f"{RESTORE}{SECURE}{import_module('apps.usage.migrations.0002_sums').ADD}"),
        migrations.DeleteModel("UsageSum"),
        total("UsageSum", "at", models.DateTimeField(help_text="Beginning of the half hour."), "usage_sum_once"),
        total("UsageDay", "day", models.DateField(help_text="In UTC."), "usage_day_once"),
        for_roles(CLOSE_PARTITION, "DROP FUNCTION usage_close_partition(text)"),
        for_roles(MAKE_PARTITIONS, "DROP FUNCTION usage_make_partitions()"),
        migrations.RunSQL(ADD_TO_SUMS, "DROP FUNCTION usage_add_to_sums(); DROP FUNCTION usage_refuse_change()"),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex(model_name="usageevent", name="usage_by_time"),
                *(
                    migrations.AddField("usageevent", name, dimension(name))
                    for name in ("user", "deployment", "prompt", "tag")
                ),
                migrations.AlterField("usageevent", "meter", models.TextField(db_collation="C")),
                migrations.AlterField("usageevent", "model", dimension("model")),
                migrations.AlterField("usageevent", "token", dimension("token")),
                migrations.AlterField(
                    "usageevent",
                    "organization",
                    models.ForeignKey(
                        db_constraint=False,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="organizations.organization",
                    ),
                ),
                migrations.AddIndex(
                    "usageevent", models.Index(fields=["organization", "occurred_at"], name="usage_event_by_time")
                ),
            ],
            database_operations=[migrations.RunSQL(MOVE, MOVE_BACK)],
        ),
        migrations.RunSQL(SECURE, migrations.RunSQL.noop),
        granted_to_sink("usage_usageevent", "INSERT"),
        granted_to_sink("usage_usagesum", "SELECT, INSERT, UPDATE"),
        granted_to_sink("usage_usageday", "SELECT, INSERT, UPDATE"),
    ]
