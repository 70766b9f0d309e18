from django.db import migrations


def verify(apps, schema_editor):
    """Whom a command made, and not a sign-up, never had an address to prove; they keep signing in."""
    User, EmailAddress = apps.get_model("accounts", "User"), apps.get_model("account", "EmailAddress")
    made = User.objects.using(schema_editor.connection.alias).filter(emailaddress__isnull=True)
    EmailAddress.objects.using(schema_editor.connection.alias).bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in made
    )


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_sign_in"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [migrations.RunPython(verify, migrations.RunPython.noop)]
