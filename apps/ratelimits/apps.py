from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RatelimitsConfig(AppConfig):
    name = "apps.ratelimits"
    verbose_name = "Limits"

    def ready(self) -> None:
        from apps.core import snapshots

        snapshots.section("limits", "apps.ratelimits.snapshot.compile_section")
        post_migrate.connect(declare_guards, sender=self)


def declare_guards(using: str, apps: Any, **_: Any) -> None:
    """A guard that is new in the code can be changed as soon as it is there."""
    from apps.ratelimits.guards import services

    if "guard" in apps.all_models["ratelimits"]:  # not after a migration back to before it
        services.declare_guards(using)
