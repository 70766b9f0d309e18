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

django_application = get_asgi_application()

from apps.core.body_limit import BodyLimit  # noqa: E402
from config.websocket_urls import websockets  # noqa: E402
from workers.edge.app import application as edge  # noqa: E402

DATA_PLANE = ("/v1/", "/v2/", "/ingest/")
UPLOADS = re.compile(r"/api/v1/datasets/|/o/[^/]+/data/")
FORM_FIELDS_BYTES = 1_000_000  # what a multipart body holds besides the file
SMALL_BODY_BYTES = 10_000_000


def largest_body(path: str) -> int:
    return settings.UPLOAD_MAX_BYTES + FORM_FIELDS_BYTES if UPLOADS.match(path) else SMALL_BODY_BYTES


control_plane = ProtocolTypeRouter(
    {
        "http": BodyLimit(django_application, largest_body),
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(websockets)),
    }
)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await edge(scope, receive, send)
    elif scope["type"] == "http" and (scope["path"].startswith(DATA_PLANE) or scope["path"] == "/v2"):
        await edge(scope, receive, send)
    else:
        await control_plane(scope, receive, send)
