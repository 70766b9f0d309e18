from typing import Any

from django.urls import path

from apps.gateway.api.views import HealthApi, ModelCallApi, RouteApi, UpstreamApi, UpstreamKeyApi, VirtualKeyApi

routes: list[tuple[str, Any]] = [
    ("gateway/upstreams", UpstreamApi),
    ("gateway/upstream-keys", UpstreamKeyApi),
    ("gateway/routes", RouteApi),
    ("gateway/keys", VirtualKeyApi),
    ("gateway/calls", ModelCallApi),
]
paths = [path("gateway/health/", HealthApi.as_view(), name="gateway-health")]
