from importlib import import_module

from django.db import migrations

from apps.core.postgres.functions import dropped_function

BEFORE = import_module("apps.console.migrations.0002_erasure_receipts")


class Migration(migrations.Migration):
    """Jobs are claimed by functions that know organizations themselves."""

    dependencies = [("console", "0002_erasure_receipts"), ("jobs", "0004_functions")]

    operations = [
        dropped_function("jobs_claim(text, text, double precision)", BEFORE.CLAIM),
        dropped_function("jobs_due_queues()", BEFORE.DUE_QUEUES),
    ]
