from django.db import migrations

from apps.core.postgres.functions import system_function

# What the scaler must know of every organization's deployments to see which of them it has to load again.
GENERATIONS = """
RETURNS TABLE (deployment_id uuid, tenant_id uuid, current_generation integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id, organization_id, generation FROM deployments_deployment
$$
"""


class Migration(migrations.Migration):
    dependencies = [("deployments", "0001_initial")]

    operations = [system_function("deployments_generations()", GENERATIONS)]
