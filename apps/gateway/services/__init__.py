"""What people can do with the gateway: one module for each noun."""

from apps.gateway.services.checking import Check, check_upstream
from apps.gateway.services.keys import create_key, delete_key, update_key
from apps.gateway.services.records import forget_old
from apps.gateway.services.routes import clear_cache, create_route, delete_route, update_route
from apps.gateway.services.upstreams import (
    add_local_model,
    add_secret,
    create_upstream,
    delete_secret,
    delete_upstream,
    set_secret_paused,
    update_upstream,
)

__all__ = [
    "Check",
    "add_local_model",
    "add_secret",
    "check_upstream",
    "clear_cache",
    "create_key",
    "create_route",
    "create_upstream",
    "delete_key",
    "delete_route",
    "delete_secret",
    "delete_upstream",
    "forget_old",
    "set_secret_paused",
    "update_key",
    "update_route",
    "update_upstream",
]
