"""One process that hosts both planes: the data plane's paths never reach Django."""

from __future__ import annotations

import os
import re
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.core.asgi import get_asgi_application

django_application: Any = get_asgi_application()

from apps.core.body_limit import BodyLimit
from apps.core.held_calls import HeldCalls
from apps.jobs.doorbell import OUTSIDE_CHANNELS
from config.websocket_urls import websockets
from workers.edge.app import application as edge

DATA_PLANE = ("/v1/", "/v2/", "/ingest/")
UPLOADS = re.compile(r"/api/v1/datasets/|/o/[^/]+/data/")
FORM_FIELDS_BYTES = 1_000_000  # what a multipart body holds besides the file
SMALL_BODY_BYTES = 10_000_000
CLAIM = "/api/v1/jobs/claim/"
CLAIM_BYTES = 16_000  # it stays in memory while the call is held


def largest_body(path: str) -> int:
    if path == CLAIM:
        return CLAIM_BYTES
    return settings.UPLOAD_MAX_BYTES + FORM_FIELDS_BYTES if UPLOADS.match(path) else SMALL_BODY_BYTES


with_held_calls = HeldCalls(django_application, path=CLAIM, redis_url=settings.REDIS_URL, pattern=OUTSIDE_CHANNELS)
control_plane = ProtocolTypeRouter(
    {
        "http": BodyLimit(with_held_calls, largest_body),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(websockets)),
    }
)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    plane = edge if scope["type"] == "lifespan" or _is_data_plane(scope) else control_plane
    await plane(scope, receive, send)


def _is_data_plane(scope: dict[str, Any]) -> bool:
    return scope["type"] == "http" and (scope["path"].startswith(DATA_PLANE) or scope["path"] == "/v2")
