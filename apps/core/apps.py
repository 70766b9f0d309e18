from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"

    def ready(self) -> None:
        from apps.core import checks  # noqa: F401 - registers itself
        from apps.core.api import schema  # noqa: F401 - drf-spectacular finds the extension by its class
