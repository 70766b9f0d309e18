from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "apps.gateway"

    def ready(self) -> None:
        from apps.core import snapshots
        from apps.gateway import receivers  # noqa: F401

        snapshots.section("gateway", "apps.gateway.snapshot.compile_section")
