from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "apps.gateway"

    def ready(self) -> None:
        from apps.core import snapshots
        from apps.gateway import receivers  # noqa: F401
        from apps.gateway.snapshot import key_policies
        from apps.ratelimits.snapshot import adds_policies

        snapshots.section("gateway", "apps.gateway.snapshot.compile_section")
        adds_policies(key_policies)
