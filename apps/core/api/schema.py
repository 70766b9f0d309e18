"""How the OpenAPI document tells authentication."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ActorAuthenticationScheme(OpenApiAuthenticationExtension):
    target_class = "apps.core.api.authentication.ActorAuthentication"
    name = "apiToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token: `my_...`."}
