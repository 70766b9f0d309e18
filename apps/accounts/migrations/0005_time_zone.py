from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_mail_outbox")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="time_zone",
            field=models.CharField(blank=True, max_length=60),
        ),
    ]
