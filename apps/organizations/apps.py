from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OrganizationsConfig(AppConfig):
    name = "apps.organizations"

    def ready(self) -> None:
        from apps.core import snapshots
        from apps.organizations import receivers  # noqa: F401

        snapshots.section("organization", "apps.organizations.snapshot.compile_organization")
        snapshots.section("tokens", "apps.organizations.snapshot.compile_section")
        post_migrate.connect(declare_flags, sender=self)


def declare_flags(using: str, apps: Any, **_: Any) -> None:
    """A feature that is new in the code can be switched as soon as it is there."""
    from apps.organizations.flags import services

    if "featureflag" in apps.all_models["organizations"]:  # not after a migration back to before it
        services.declare_flags(using)
