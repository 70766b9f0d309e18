"""The Celery application: a doorbell for jobs, and the clock."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

from celery import Celery
from django.conf import settings

from workers import sweeper  # noqa: F401 - hears beat_init
from workers.queues import DEFAULT, QUEUES
from workers.schedules import schedules

app = Celery("modelyard")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_timeout": 10, "socket_connect_timeout": 5, "max_retries": 1},
    task_ignore_result=True,
    task_queues=QUEUES,
    task_default_queue=DEFAULT,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_schedule=schedules(settings),
    timezone="UTC",
)
app.autodiscover_tasks()
