from django.apps import AppConfig


class RatelimitsConfig(AppConfig):
    name = "apps.ratelimits"
    verbose_name = "Limits"

    def ready(self) -> None:
        from apps.core import snapshots

        snapshots.section("limits", "apps.ratelimits.snapshot.compile_section")
