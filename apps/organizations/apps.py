from django.apps import AppConfig


class OrganizationsConfig(AppConfig):
    name = "apps.organizations"

    def ready(self) -> None:
        from apps.core import snapshots

        snapshots.section("tokens", "apps.organizations.snapshot.compile_section")
