from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"

    def ready(self) -> None:
        from apps.core.api import schema  # noqa: F401 - drf-spectacular finds the extension by its class
