from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    name = "apps.jobs"

    def ready(self) -> None:
        # The Celery application becomes the current one, in every process that rings.
        import_module("workers.celery")
        for module in settings.JOB_KIND_MODULES:
            import_module(module)
        post_migrate.connect(declare_queues, sender=self)


def declare_queues(using: str, apps: Any, **_: Any) -> None:
    """A queue that is new in the code can be drained as soon as it is there."""
    from apps.jobs import queues

    if "queue" in apps.all_models["jobs"]:  # not after a migration back to before it
        queues.declare(using)
