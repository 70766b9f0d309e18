from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("organizations", "0004_suspension")]

    operations = [
        migrations.AddField("organization", "audit_retention_days", models.PositiveSmallIntegerField(default=365)),
        migrations.AddConstraint(
            "organization",
            models.CheckConstraint(
                condition=models.Q(audit_retention_days__gte=30), name="organizations_trail_is_kept_a_month"
            ),
        ),
    ]
