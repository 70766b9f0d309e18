from django.apps import AppConfig


class UsageConfig(AppConfig):
    name = "apps.usage"

    def ready(self) -> None:
        from apps.core import snapshots

        snapshots.section("usage", "apps.usage.snapshot.compile_section")
