from django.db import migrations

from apps.core.postgres.grants import granted_to_sink


class Migration(migrations.Migration):

    dependencies = [
        ('gateway', '0001_initial'),
    ]

    operations = [
        granted_to_sink("gateway_modelcall", "INSERT"),
        granted_to_sink("gateway_modelcallbody", "INSERT"),
    ]
