"""The sink writes calls as a role of its own."""

from django.db import migrations

from apps.core.postgres.grants import granted_to_sink


class Migration(migrations.Migration):
    dependencies = [("logs", "0001_initial")]

    operations = [granted_to_sink("logs_callrecord", "INSERT")]
