from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    name = "apps.deployments"

    def ready(self) -> None:
        from apps.core import snapshots

        snapshots.section("deployments", "apps.deployments.snapshot.compile_section")
