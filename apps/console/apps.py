from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "apps.console"

    def ready(self) -> None:
        from apps.console import tasks  # noqa: F401
        from apps.console.data_rights import receivers  # noqa: F401
        from apps.console.status import metrics

        metrics.register()
