import json
from urllib.parse import urlsplit

from django.conf import settings
from django.db import migrations, models
from django.db.models.functions import Now

from apps.core.sealing import Unsealable, seal, unseal


def seal_anew(apps, schema_editor):
    """Kept mails were text alone, sealed for the place that the table had then."""
    for row in apps.get_model("accounts", "Mail").objects.using(schema_editor.connection.alias).iterator():
        try:
            text = unseal(bytes(row.sealed_content), f"kept mail {row.pk}").decode()
        except Unsealable:
            row.delete()
            continue
        content = {"sender": settings.DEFAULT_FROM_EMAIL, "text": text, "html": "", "headers": {}}
        row.sealed_content = seal(json.dumps(content).encode(), f"mail {row.pk}")
        row.message_id = f"<{row.pk}@{urlsplit(settings.PUBLIC_URL).hostname}>"
        row.save()


def forget(apps, schema_editor):
    """What came before knows neither this seal nor mails that wait."""
    apps.get_model("accounts", "Mail").objects.using(schema_editor.connection.alias).all().delete()


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_addresses_without_sign_up")]

    operations = [
        migrations.RenameModel("KeptMail", "Mail"),
        migrations.RenameField("mail", "sealed_text", "sealed_content"),
        migrations.AddField(
            "mail", "message_id", models.CharField(max_length=300, default=""), preserve_default=False
        ),
        migrations.AddField(
            "mail",
            "status",
            models.CharField(
                choices=[("waiting", "Waiting"), ("sent", "Sent"), ("kept", "Kept"), ("failed", "Failed")],
                default="kept",
                max_length=10,
            ),
            preserve_default=False,
        ),
        migrations.AddField("mail", "attempts", models.PositiveSmallIntegerField(default=0)),
        migrations.AddField("mail", "next_attempt_at", models.DateTimeField(db_default=Now())),
        migrations.AddField("mail", "lease_until", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("mail", "last_error", models.CharField(blank=True, max_length=500)),
        migrations.AddField("mail", "sent_at", models.DateTimeField(blank=True, null=True)),
        migrations.RunPython(seal_anew, forget),
        migrations.AddIndex(
            "mail",
            models.Index(
                fields=["next_attempt_at"], condition=models.Q(status="waiting"), name="accounts_mail_due"
            ),
        ),
    ]
