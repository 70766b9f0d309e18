from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "apps.gateway"

    def ready(self) -> None:
        from apps.core import snapshots

        snapshots.section("gateway", "apps.gateway.snapshot.compile_section")
