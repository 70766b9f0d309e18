from importlib import import_module

from django.apps import AppConfig
from django.conf import settings


class JobsConfig(AppConfig):
    name = "apps.jobs"

    def ready(self) -> None:
        # The Celery application becomes the current one, in every process that rings.
        import_module("workers.celery")
        for module in settings.JOB_KIND_MODULES:
            import_module(module)
