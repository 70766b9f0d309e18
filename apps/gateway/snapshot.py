"""The gateway section of the data plane's snapshot."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Q
from django.utils import timezone

from apps.costs import catalog
from apps.gateway import budgets, spending
from apps.gateway.enums import BudgetPeriod
from apps.gateway.models import Route, Target, Upstream, UpstreamKey, VirtualKey
from apps.ratelimits.edge import GATEWAY
from apps.ratelimits.rules import Algorithm, Away

REQUESTS, TOKENS = "requests", "tokens"


def compile_section() -> dict[str, dict[str, Any]]:
    """Upstreams with their keys, sealed; routes with the targets that may be called; and what keys may do."""
    used = UpstreamKey.objects.filter(is_paused=False).order_by("pk")
    upstreams = Upstream.objects.filter(is_paused=False).prefetch_related(Prefetch("keys", used)).order_by("pk")
    open_upstreams = {upstream.pk: upstream for upstream in upstreams}
    routes = _routes()
    names = {route.pk: route.name for route in routes}
    book = catalog.book()
    keys = list(VirtualKey.objects.filter(token__revoked_at=None).order_by("pk"))
    now = timezone.now()
    used = spending.used_by(keys, now)
    return {
        "upstreams": {str(pk): told(upstream) for pk, upstream in open_upstreams.items()},
        "routes": {route.name: _route(route, open_upstreams, book) for route in routes},
        "keys": {str(key.token_id): _key(key, names, _budget(key, used, now)) for key in keys},
    }


def key_policies() -> Iterator[dict[str, Any]]:
    """The limits of single keys, as the limiter's policies."""
    limited = Q(requests_per_minute__isnull=False) | Q(tokens_per_minute__isnull=False)
    for key in VirtualKey.objects.filter(limited, token__revoked_at=None).select_related("token").order_by("pk"):
        for quantity, limit in ((REQUESTS, key.requests_per_minute), (TOKENS, key.tokens_per_minute)):
            if limit is not None:
                yield _policy(key, quantity, limit)


def _policy(key: VirtualKey, quantity: str, limit: int) -> dict[str, Any]:
    return {
        "id": f"key-{key.pk}",
        "name": f"Key {key.token.name}",
        "subject": ["token"],
        "header": "",
        "quantity": quantity,
        "algorithm": Algorithm.GCRA,
        "limit": limit,
        "window_ms": 60_000,
        "burst": limit,
        "is_shadow": False,
        "away": Away.LOCAL,
        "planes": [GATEWAY],
        "routes": [],
        "models": [],
        "tokens": [str(key.token_id)],
    }


def _routes() -> list[Route]:
    targets = Target.objects.select_related("deployment").order_by("tier", "pk")
    return list(Route.objects.filter(is_paused=False).prefetch_related(Prefetch("targets", targets)).order_by("name"))


def told(upstream: Upstream) -> dict[str, Any]:
    """An upstream as the data plane is told of it, with those of its keys that are fetched."""
    health = {"path": upstream.health_path, "interval_s": upstream.health_interval_s}
    return {
        "name": upstream.name,
        "kind": upstream.kind,
        "base_url": upstream.base_url,
        "api_version": upstream.api_version,
        "headers": upstream.headers,
        "keys": [{"id": str(key.pk), "sealed": b64encode(key.sealed).decode()} for key in upstream.keys.all()],
        "most_at_once": upstream.most_at_once,
        "health": health if upstream.health_path else None,
    }


def _route(route: Route, open_upstreams: dict[Any, Upstream], book: catalog.Book) -> dict[str, Any]:
    targets = [one for one in route.targets.all() if one.deployment_id or one.upstream_id in open_upstreams]
    return {
        "id": str(route.pk),
        "strategy": route.strategy,
        "deadline_ms": route.deadline_ms,
        "first_byte_ms": route.first_byte_ms,
        "idle_ms": route.idle_ms,
        "attempts": route.attempts,
        "hedge_after_ms": route.hedge_after_ms,
        "max_request_bytes": route.max_request_bytes,
        "cache": {"mode": route.cache_mode, "ttl_s": route.cache_ttl_s, "threshold": route.cache_threshold},
        "bodies_days": route.bodies_days,
        "targets": [_target(target, open_upstreams, book) for target in targets],
    }


def _target(target: Target, open_upstreams: dict[Any, Upstream], book: catalog.Book) -> dict[str, Any]:
    upstream = open_upstreams.get(target.upstream_id)
    return {
        "id": str(target.pk),
        "upstream": str(upstream.pk) if upstream else None,
        "deployment": target.deployment.name if target.deployment else None,
        "model": target.model,
        "weight": target.weight,
        "tier": target.tier,
        "on": target.on,
        "when": target.when,
        "prices": book.prices(upstream.kind, upstream.base_url, target.model) if upstream else catalog.FREE,
    }


def _budget(key: VirtualKey, used: dict[Any, int], now: datetime) -> dict[str, Any] | None:
    """The budget, with what was spent of it in the period that is `counted`."""
    if key.budget_micro_usd is None:
        return None
    counted = budgets.period_name(BudgetPeriod(key.budget_period), now)
    return {"limit": key.budget_micro_usd, "period": key.budget_period, "used": used[key.pk], "counted": counted}


def _key(key: VirtualKey, names: dict[Any, str], budget: dict[str, Any] | None) -> dict[str, Any]:
    routes = None if key.routes is None else [names[one] for one in key.routes if one in names]
    return {"id": str(key.pk), "routes": routes, "budget": budget, "tags": key.tags}
