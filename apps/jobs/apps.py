from importlib import import_module

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "apps.jobs"

    def ready(self) -> None:
        # The Celery application becomes the current one, in every process that rings.
        import_module("workers.celery")
