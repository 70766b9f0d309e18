from typing import Any

from apps.gateway.api.views import ModelCallApi, RouteApi, UpstreamApi, UpstreamKeyApi, VirtualKeyApi

routes: list[tuple[str, Any]] = [
    ("gateway/upstreams", UpstreamApi),
    ("gateway/upstream-keys", UpstreamKeyApi),
    ("gateway/routes", RouteApi),
    ("gateway/keys", VirtualKeyApi),
    ("gateway/calls", ModelCallApi),
]
