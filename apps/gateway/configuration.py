"""What the data plane knows of an organization's gateway: objects made of its snapshot. Imports no Django."""

from __future__ import annotations

from base64 import b64decode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from apps.core.edge import Snapshot
from apps.gateway.enums import CacheMode, ErrorClass, Kind, Strategy

SECTION = "gateway"
REMEMBERED_SECTIONS = 2_000


@dataclass(frozen=True, slots=True)
class UpstreamKey:
    id: str
    sealed: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Upstream:
    """Who answers. `place` is what its keys are sealed for."""

    id: str
    organization_id: str
    name: str
    kind: Kind
    base_url: URL | None
    api_version: str
    headers: Mapping[str, str]
    keys: Sequence[UpstreamKey]
    most_at_once: int | None
    health_path: str
    health_interval_s: float

    @property
    def address(self) -> str:
        """What tells it apart from a server that it was before."""
        return str(self.base_url or "")

    @property
    def place(self) -> str:
        return f"gateway:{self.organization_id}:{self.id}"


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where a route may send: to a model of `upstream`, or to the deployment of that name."""

    id: str
    upstream: Upstream | None
    deployment: str
    model: str
    weight: int
    tier: int
    on: frozenset[ErrorClass]
    when: Mapping[str, Any]
    prices: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A model by the name that callers use. `targets` are in the order of their tiers."""

    id: str
    name: str
    strategy: Strategy
    deadline_s: float
    first_byte_s: float
    idle_s: float
    attempts: int
    hedge_after_s: float | None
    max_request_bytes: int
    cache_mode: CacheMode
    cache_ttl_s: int
    cache_threshold: float
    bodies_days: int | None
    targets: Sequence[Target]


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What a token may do here. `routes` None: all; `budget` as the snapshot tells it."""

    id: str
    routes: frozenset[str] | None
    budget: Mapping[str, Any] | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Gateway:
    """One organization's routes and keys, and the upstreams that they use."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)


NOTHING = Gateway()
_compiled: OrderedDict[str, tuple[Mapping[str, Any], Gateway]] = OrderedDict()


def gateway_of(snapshot: Snapshot | None) -> Gateway:
    """The organization's gateway, made once for each version of its section."""
    section = snapshot.sections.get(SECTION) if snapshot else None
    if snapshot is None or not section:
        return NOTHING
    known = _compiled.get(snapshot.organization_id)
    if known and known[0] is section:
        return known[1]
    gateway = compiled(snapshot.organization_id, section)
    _compiled[snapshot.organization_id] = section, gateway
    _compiled.move_to_end(snapshot.organization_id)
    if len(_compiled) > REMEMBERED_SECTIONS:
        _compiled.popitem(last=False)
    return gateway


def compiled(organization_id: str, section: Mapping[str, Any]) -> Gateway:
    upstreams = {id: upstream_of(organization_id, id, told) for id, told in section["upstreams"].items()}
    return Gateway(
        {name: _route(name, told, upstreams) for name, told in section["routes"].items()},
        {token_id: _key(told) for token_id, told in section["keys"].items()},
        upstreams,
    )


def upstream_of(organization_id: str, upstream_id: str, told: Mapping[str, Any]) -> Upstream:
    health = told["health"] or {"path": "", "interval_s": 0}
    return Upstream(
        id=upstream_id,
        organization_id=organization_id,
        name=told["name"],
        kind=Kind(told["kind"]),
        base_url=URL(told["base_url"]) if told["base_url"] else None,
        api_version=told["api_version"],
        headers=told["headers"],
        keys=[UpstreamKey(key["id"], b64decode(key["sealed"])) for key in told["keys"]],
        most_at_once=told["most_at_once"],
        health_path=health["path"],
        health_interval_s=health["interval_s"],
    )


def _route(name: str, told: Mapping[str, Any], upstreams: Mapping[str, Upstream]) -> Route:
    hedge_after_ms, cache = told["hedge_after_ms"], told["cache"]
    targets = [_target(one, upstreams) for one in told["targets"]]
    return Route(
        id=told["id"],
        name=name,
        strategy=Strategy(told["strategy"]),
        deadline_s=told["deadline_ms"] / 1000,
        first_byte_s=told["first_byte_ms"] / 1000,
        idle_s=told["idle_ms"] / 1000,
        attempts=told["attempts"],
        hedge_after_s=None if hedge_after_ms is None else hedge_after_ms / 1000,
        max_request_bytes=told["max_request_bytes"],
        cache_mode=CacheMode(cache["mode"]),
        cache_ttl_s=cache["ttl_s"],
        cache_threshold=cache["threshold"],
        bodies_days=told["bodies_days"],
        targets=sorted(targets, key=lambda target: target.tier),
    )


def _target(told: Mapping[str, Any], upstreams: Mapping[str, Upstream]) -> Target:
    return Target(
        id=told["id"],
        upstream=upstreams[told["upstream"]] if told["upstream"] else None,
        deployment=told["deployment"] or "",
        model=told["model"],
        weight=told["weight"],
        tier=told["tier"],
        on=frozenset(ErrorClass(one) for one in told["on"]),
        when=told["when"],
        prices=told["prices"],
    )


def _key(told: Mapping[str, Any]) -> Key:
    routes = told["routes"]
    return Key(told["id"], None if routes is None else frozenset(routes), told["budget"], told["tags"])
