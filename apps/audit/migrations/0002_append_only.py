from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

TABLE = "audit_auditentry"

REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('app.audit_removal', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'The trail is append-only: % is refused.', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""
# Both run as the table's owner. Row-level security is forced on the owner, so they reach the tenant in scope alone.
EXPIRE = """
CREATE FUNCTION audit_expire(batch integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE removed bigint;
BEGIN
    PERFORM set_config('app.audit_removal', 'on', true);
    DELETE FROM audit_auditentry WHERE id IN (
        SELECT entry.id FROM audit_auditentry AS entry
        JOIN organizations_organization AS organization ON organization.id = entry.organization_id
        WHERE entry.organization_id = NULLIF(current_setting('app.tenant', true), '')::uuid
          AND entry.created_at < now() - make_interval(days => organization.audit_retention_days)
        ORDER BY entry.created_at LIMIT batch
    );
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('app.audit_removal', '', true);
    RETURN removed;
END
$$;
"""
ERASE = """
CREATE FUNCTION audit_erase() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE removed bigint;
BEGIN
    PERFORM set_config('app.audit_removal', 'on', true);
    DELETE FROM audit_auditentry
    WHERE organization_id = NULLIF(current_setting('app.tenant', true), '')::uuid;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('app.audit_removal', '', true);
    RETURN removed;
END
$$;
"""
REMOVE = """
DROP FUNCTION audit_erase();
DROP FUNCTION audit_expire(integer);
DROP TRIGGER audit_append_only ON audit_auditentry;
DROP FUNCTION audit_refuse();
"""


def _roles(schema_editor: Any) -> tuple[str, str]:
    runtime, console = (settings.DATABASES[alias]["USER"] for alias in ("default", "console"))
    return schema_editor.quote_name(runtime), schema_editor.quote_name(console)


def close(apps: Any, schema_editor: Any) -> None:
    runtime, console = _roles(schema_editor)
    for statement in (
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {TABLE} FROM {runtime}, {console}",
        "REVOKE ALL ON FUNCTION audit_expire(integer) FROM PUBLIC",
        "REVOKE ALL ON FUNCTION audit_erase() FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION audit_expire(integer) TO {runtime}",
        f"GRANT EXECUTE ON FUNCTION audit_erase() TO {console}",
    ):
        schema_editor.execute(statement, params=None)


def open_again(apps: Any, schema_editor: Any) -> None:
    runtime, console = _roles(schema_editor)
    schema_editor.execute(f"GRANT UPDATE, DELETE ON {TABLE} TO {runtime}, {console}", params=None)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial"), ("organizations", "0005_audit_retention")]

    operations = [
        migrations.AddField("auditentry", "operator_id", models.UUIDField(null=True)),
        migrations.AddField("auditentry", "operator_label", models.CharField(blank=True, default="", max_length=200), preserve_default=False),
        migrations.AlterField(
            "auditentry",
            "organization",
            models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="organizations.organization",
            ),
        ),
        migrations.AddIndex("auditentry", models.Index(fields=["organization", "actor_id", "-id"], name="audit_actor_newest")),
        migrations.AddIndex("auditentry", models.Index(fields=["organization", "action", "-id"], name="audit_action_newest")),
        migrations.AddIndex("auditentry", models.Index(fields=["organization", "subject_type", "-id"], name="audit_type_newest")),
        migrations.AddIndex("auditentry", models.Index(fields=["organization", "request_id"], name="audit_request")),
        migrations.AddIndex("auditentry", models.Index(fields=["organization", "created_at"], name="audit_age")),
        migrations.RunSQL(REFUSE + EXPIRE + ERASE, REMOVE),
        migrations.RunPython(close, open_again),
    ]
