"""Routes and their targets, which are changed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from uuid import UUID

import redis
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.audit import services as audit
from apps.core import time_zones
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.deployments.models import Deployment
from apps.gateway import cache, errors
from apps.gateway.enums import ErrorClass
from apps.gateway.models import Route, Target, Upstream
from apps.gateway.services.changing import publish, unique_name
from apps.gateway.services.upstreams import HEADER_NAME, HEADER_VALUE
from apps.organizations import queries as organizations

MOST_ROUTES = 200
MOST_TARGETS = 20
MOST_HEADERS = 10
LONGEST_HEADER = 200
LATEST = 24 * 60
OPTIONAL = ("hedge_after_ms", "bodies_days")


class RouteColumns(TypedDict, total=False):
    name: str
    description: str
    strategy: str
    deadline_ms: int
    first_byte_ms: int
    idle_ms: int
    attempts: int
    hedge_after_ms: int | None
    max_request_bytes: int
    cache_mode: str
    cache_ttl_s: int
    cache_threshold: float
    bodies_days: int | None
    is_paused: bool


class TargetColumns(TypedDict, total=False):
    """One target. `id` names one that the route has already; `upstream` or `deployment` is where it leads."""

    id: UUID
    upstream: Upstream | None
    deployment: Deployment | None
    model: str
    weight: int
    tier: int
    on: Sequence[str]
    when: Mapping[str, Any]


COLUMNS = tuple(RouteColumns.__annotations__)
TARGET_COLUMNS = ("upstream", "deployment", "model", "weight", "tier", "on", "when")


@transaction.atomic
def create_route(*, targets: Sequence[TargetColumns], by: Actor, **columns: Unpack[RouteColumns]) -> Route:
    """A new public name. Raises `TooMany`, `NameTaken`, `TargetsNeeded`, `TargetInvalid`, `RouteInvalid`."""
    organizations.locked_organization()
    if Route.objects.count() >= MOST_ROUTES:
        raise errors.TooMany(nouns="routes", limit=MOST_ROUTES)
    route = _checked(Route(**columns))
    with unique_name("route", route.name):
        route.save()
    _set_targets(route, targets)
    audit.record(by, "route.created", route, {"name": route.name, "targets": _told(route)})
    publish()
    return route


@transaction.atomic
def update_route(
    route: Route, *, by: Actor, targets: Sequence[TargetColumns] | None = None, **wanted: Unpack[RouteColumns]
) -> Route:
    """Change a route; `targets`, if given, are all that it has from now on. Raises what `create_route` raises."""
    route = Route.objects.select_for_update().get(pk=route.pk)
    before = _told(route)
    changes: dict[str, Any] = apply_changes(route, wanted)
    _checked(route)
    if changes:
        with unique_name("route", route.name):
            route.save(update_fields=COLUMNS)
    if targets is not None:
        _set_targets(route, targets)
        if (after := _told(route)) != before:
            changes["targets"] = [before, after]
    if changes:
        audit.record(by, "route.updated", route, changes)
        publish()
    return route


@transaction.atomic
def delete_route(route: Route, *, by: Actor) -> None:
    """Take a name away. Keys that may use nothing else may use nothing then."""
    audit.record(by, "route.deleted", route, {"name": route.name, "targets": _told(route)})
    route.delete()
    publish()


@transaction.atomic
def clear_cache(route: Route, *, by: Actor) -> None:
    """Forget the answers that are kept of the route, those on their way too. Raises `CacheAway`."""
    audit.record(by, "route.cache_cleared", route, {"name": route.name})
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=2)
    try:
        with client:
            cache.clear(client, str(route.organization_id), str(route.pk), route.cache_ttl_s)
    except redis.RedisError:
        raise errors.CacheAway from None


def _checked(route: Route) -> Route:
    try:
        route.clean_fields()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise errors.RouteInvalid(field=field, reason=messages[0]) from None
    if route.attempts < 1:
        raise errors.RouteInvalid(field="attempts", reason="At least one attempt is needed.")
    for name in ("deadline_ms", "first_byte_ms", "idle_ms", "max_request_bytes", "cache_ttl_s", *OPTIONAL):
        if getattr(route, name) == 0:
            raise errors.RouteInvalid(field=name, reason="This has to be more than nothing.")
    return route


def _set_targets(route: Route, wanted: Sequence[TargetColumns]) -> None:
    """Targets that stay keep their id, by which callers stick to them."""
    if not wanted:
        raise errors.TargetsNeeded(field="targets")
    if len(wanted) > MOST_TARGETS:
        raise errors.TooMany(nouns="targets of a route", limit=MOST_TARGETS)
    there = {target.pk: target for target in route.targets.all()}
    kept = [_target(route, number, one, there) for number, one in enumerate(wanted, start=1)]
    gone = there.keys() - {target.pk for target in kept}
    route.targets.filter(pk__in=gone).delete()
    for target in kept:
        target.save()


def _target(route: Route, number: int, wanted: TargetColumns, there: Mapping[UUID, Target]) -> Target:
    target = there.get(wanted["id"]) if "id" in wanted else None
    target = target or Target(route=route)
    for name in TARGET_COLUMNS:
        if name in wanted:
            setattr(target, name, wanted[name])  # type: ignore[literal-required]

    def refuse(reason: str) -> None:
        raise errors.TargetInvalid(field="targets", number=number, reason=reason)

    if (target.upstream is None) == (target.deployment is None):
        refuse("it leads either to an upstream or to a deployment.")
    if target.upstream is not None and not target.model:
        refuse("it needs the name that the upstream has for the model.")
    if unknown := set(target.on) - set(ErrorClass):
        refuse(f"there is no class of errors `{sorted(unknown)[0]}`.")
    if reason := wrong_condition(target.when):
        refuse(reason)
    try:
        target.clean_fields(exclude=["route", "when"])
    except ValidationError as error:
        name, messages = next(iter(error.message_dict.items()))
        refuse(f"{name}: {messages[0]}")
    return target


def wrong_condition(when: Any) -> str:
    """What is wrong with a target's conditions; empty if nothing is."""
    if not isinstance(when, Mapping):
        return "its conditions are no object."
    checks = {
        "headers": _are_headers,
        "min_tokens": _is_count,
        "max_tokens": _is_count,
        "is_stream": lambda value: isinstance(value, bool),
        "hours": _are_hours,
        "days": _are_days,
        "time_zone": lambda value: isinstance(value, str) and time_zones.exists(value),
    }
    for name, value in when.items():
        if name not in checks:
            return f"there is no condition `{name}`; there are {', '.join(checks)}."
        if not checks[name](value):
            return f"the condition `{name}` cannot be understood."
    return ""


def _are_headers(value: Any) -> bool:
    is_small = isinstance(value, Mapping) and len(value) <= MOST_HEADERS
    return is_small and all(
        isinstance(one, str)
        and HEADER_NAME.fullmatch(name)
        and HEADER_VALUE.fullmatch(one)
        and len(one) <= LONGEST_HEADER
        for name, one in value.items()
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**9


def _are_hours(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_hour(one) for one in value)


def _is_hour(value: Any) -> bool:
    if not isinstance(value, str) or len(value) != 5 or value[2] != ":":
        return False
    hours, minutes = value[:2], value[3:]
    is_digits = (hours + minutes).isascii() and (hours + minutes).isdigit()
    return is_digits and int(minutes) < 60 and int(hours) * 60 + int(minutes) <= LATEST


def _are_days(value: Any) -> bool:
    is_list = isinstance(value, list) and 0 < len(value) <= 7
    return is_list and all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= 6 for one in value)


def _told(route: Route) -> list[str]:
    targets = route.targets.select_related("upstream", "deployment").order_by("tier", "pk")
    return [f"{target.tier}: {target}" for target in targets]
