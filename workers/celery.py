"""The Celery application: mails, webhooks and other errands that may be repeated, and the clock."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

import redis
from celery import Celery
from celery.signals import heartbeat_sent, setup_logging
from django.conf import settings

from apps.core.heartbeats import Heartbeat
from config.logging import configure as configure_logging
from workers import prober, sweeper  # noqa: F401 - hear beat_init
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
heartbeat = Heartbeat(redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1), "worker")


@setup_logging.connect
def log_as_every_process(**_: Any) -> None:
    configure_logging()


@heartbeat_sent.connect
def leave_a_sign_of_life(**_: Any) -> None:
    heartbeat.beat()
