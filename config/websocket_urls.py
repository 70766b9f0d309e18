"""Every WebSocket address."""

from typing import Any, cast

from channels.routing import URLRouter
from django.urls import path

from apps.core.consumers import LiveConsumer
from apps.organizations.sockets import TenantSocketMiddleware

websockets = URLRouter(
    [path("ws/o/<slug:organization_slug>/live/", cast("Any", TenantSocketMiddleware(LiveConsumer.as_asgi())))],
)
