"""One process that hosts both planes: the data plane's paths never reach Django."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from config.websocket_urls import websockets  # noqa: E402
from workers.edge.app import application as edge  # noqa: E402

DATA_PLANE = ("/v1/", "/v2/", "/ingest/")

control_plane = ProtocolTypeRouter(
    {"http": django_application, "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(websockets))}
)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await edge(scope, receive, send)
    elif scope["type"] == "http" and (scope["path"].startswith(DATA_PLANE) or scope["path"] == "/v2"):
        await edge(scope, receive, send)
    else:
        await control_plane(scope, receive, send)
