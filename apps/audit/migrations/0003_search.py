from django.contrib.postgres.operations import BtreeGinExtension, TrigramExtension
from django.db import migrations, models

from apps.core.postgres.functions import system_function

# As text, not as an index of the model's: the function below has to name the very same expression.
NAMES = r"lower(actor_label || E'\n' || operator_label || E'\n' || subject_label)"
INDEX = f"""
CREATE INDEX audit_names ON audit_auditentry USING gin (organization_id, ({NAMES}) gin_trgm_ops)
WITH (gin_pending_list_limit = 512);
"""
# Row-level security forbids an index for a part of a text, so this runs past it, and looks at the tenant in scope alone.
# The bitmap is asked for because walking the whole trail looks cheaper to the planner while it knows of no match.
NAMED = rf"""
RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_indexscan = off SET enable_seqscan = off AS $$
DECLARE found uuid[];
BEGIN
    EXECUTE $query$
        SELECT array_agg(id) FROM (
            SELECT id FROM audit_auditentry
            WHERE organization_id = NULLIF(current_setting('app.tenant', true), '')::uuid AND {NAMES} LIKE $1 LIMIT $2
        ) AS named
    $query$ INTO found USING '%' || replace(replace(replace(lower($1), '\', '\\'), '%', '\%'), '_', '\_') || '%', $2 + 1;
    RETURN CASE WHEN cardinality(found) > $2 THEN NULL ELSE coalesce(found, '{{}}') END;
END
$$
"""  # noqa: S608 - an expression of this file


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]

    operations = [
        TrigramExtension(),
        BtreeGinExtension(),
        migrations.RunSQL(INDEX, "DROP INDEX audit_names"),
        system_function("audit_named(text, integer)", NAMED),
        migrations.AddIndex("auditentry", models.Index(fields=["organization", "address", "-id"], name="audit_address_newest")),
        migrations.AddIndex(
            "auditentry",
            models.Index(
                fields=["organization", "operator_id", "-id"],
                condition=models.Q(operator_id__isnull=False),
                name="audit_operator_newest",
            ),
        ),
    ]
