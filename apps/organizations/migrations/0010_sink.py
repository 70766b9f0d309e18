"""The sink notes the last use of tokens as a role of its own."""

from django.db import migrations

from apps.core.postgres.grants import granted_to_sink


class Migration(migrations.Migration):
    dependencies = [("organizations", "0009_plan")]

    operations = [
        granted_to_sink(
            "organizations_apitoken",
            "SELECT (id, organization_id, last_used_at), UPDATE (last_used_at, last_used_address, last_used_agent)",
        )
    ]
