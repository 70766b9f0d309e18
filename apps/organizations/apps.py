from django.apps import AppConfig


class OrganizationsConfig(AppConfig):
    name = "apps.organizations"

    def ready(self) -> None:
        from apps.core import snapshots
        from apps.organizations import receivers  # noqa: F401

        snapshots.section("organization", "apps.organizations.snapshot.compile_organization")
        snapshots.section("tokens", "apps.organizations.snapshot.compile_section")
