"""A data plane with a gateway: routes, upstreams and keys as the control plane publishes them."""

from __future__ import annotations

import base64
import os
import uuid
from typing import Any

from apps.core import seals
from tests.edge.plane import Tenant

PRICE = {"from": 0, "input": 1_000_000, "cached": 500_000, "cache_write": 1_250_000, "output": 2_000_000, "source": "t"}


def add_upstream(tenant: Tenant, url: str, kind: str = "compatible", secrets: tuple[str, ...] = ("sk-up",)) -> str:
    """An upstream of the tenant with keys that only an edge with our SECRET_KEY can open."""
    upstream_id = str(uuid.uuid4())
    place = f"gateway:{tenant.id}:{upstream_id}"
    keys = [
        {
            "id": str(uuid.uuid4()),
            "sealed": base64.b64encode(seals.seal(one.encode(), place, os.environ["SECRET_KEY"])).decode(),
        }
        for one in secrets
    ]
    section(tenant)["upstreams"][upstream_id] = {
        "name": f"up-{len(section(tenant)['upstreams'])}",
        "kind": kind,
        "base_url": url,
        "api_version": "",
        "headers": {},
        "keys": keys,
        "most_at_once": None,
        "health": None,
    }
    return upstream_id


def add_route(tenant: Tenant, name: str, *targets: dict[str, Any], **columns: Any) -> str:
    route_id = str(uuid.uuid4())
    section(tenant)["routes"][name] = {
        "id": route_id,
        "strategy": "weighted",
        "deadline_ms": 20_000,
        "first_byte_ms": 10_000,
        "idle_ms": 10_000,
        "attempts": 3,
        "hedge_after_ms": None,
        "max_request_bytes": 4_000_000,
        "cache": {"mode": "off", "ttl_s": 60, "threshold": 0.95},
        "bodies_days": None,
        "targets": list(targets),
        **columns,
    }
    return route_id


def target(upstream_id: str | None = None, **columns: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "upstream": upstream_id,
        "deployment": None,
        "model": "stand-in",
        "weight": 100,
        "tier": 0,
        "on": [],
        "when": {},
        "prices": [PRICE],
        **columns,
    }


def section(tenant: Tenant) -> dict[str, Any]:
    for name in ("upstreams", "routes", "keys"):
        tenant.gateway.setdefault(name, {})
    return tenant.gateway
