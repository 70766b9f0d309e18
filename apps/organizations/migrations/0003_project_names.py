import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

RENAME = """
    UPDATE organizations_project SET name = left(name, 70) || ' ' || right(id::text, 6)
    WHERE EXISTS (
        SELECT FROM organizations_project older
        WHERE older.organization_id = organizations_project.organization_id
          AND lower(older.name) = lower(organizations_project.name) AND older.id < organizations_project.id
    )
"""


def rename_later_ones(apps, schema_editor):
    """As the console's role: the owner of the tables sees no tenant's rows."""
    console = schema_editor.quote_name(settings.DATABASES["console"]["USER"])
    schema_editor.execute(f"SET LOCAL ROLE {console}")
    schema_editor.execute(RENAME)
    schema_editor.execute("RESET ROLE")


class Migration(migrations.Migration):
    dependencies = [
        ("organizations", "0002_invitations_and_projects"),
    ]

    operations = [
        migrations.RunPython(rename_later_ones, migrations.RunPython.noop),
        migrations.RemoveConstraint(
            model_name="project",
            name="organizations_project_name",
        ),
        migrations.AddConstraint(
            model_name="project",
            constraint=models.UniqueConstraint(
                models.F("organization"),
                django.db.models.functions.text.Lower("name"),
                name="organizations_project_name_ci",
            ),
        ),
    ]
