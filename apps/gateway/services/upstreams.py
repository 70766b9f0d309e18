"""Upstreams and their keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from apps.audit import services as audit
from apps.core import sealing
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.outbound import client as outbound
from apps.gateway import errors
from apps.gateway.enums import Kind
from apps.gateway.models import Route, Target, Upstream, UpstreamKey
from apps.gateway.services.changing import publish, unique_name
from apps.organizations import queries as organizations

MOST_UPSTREAMS = 100
MOST_SECRETS = 20
MOST_HEADERS = 20
LONGEST_SECRET = 4_000
LONGEST_VALUE = 1_000
SECRET = re.compile(r"[\x21-\x7e]+")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
HEALTH_PATH = re.compile(r"(/[\x21-\x7e]*)?")
# The gateway writes these itself, and a key belongs among the keys, which are sealed.
RESERVED = frozenset(
    {
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "proxy-authorization",
        "cookie",
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "accept-encoding",
        "upgrade",
        "te",
        "trailer",
    }
)
# What a kind is called at when nothing else is said.
BASE_URLS: dict[str, str] = {
    Kind.OPENAI: "https://api.openai.com/v1",
    Kind.ANTHROPIC: "https://api.anthropic.com",
    Kind.GEMINI: "https://generativelanguage.googleapis.com",
}
LOCAL_NAME, LOCAL_ROUTE, LOCAL_MODEL = "Local model", "small", "smollm2-135m-instruct"


class UpstreamColumns(TypedDict, total=False):
    name: str
    kind: str
    base_url: str
    api_version: str
    headers: Mapping[str, str]
    most_at_once: int | None
    health_path: str
    health_interval_s: int
    is_paused: bool


COLUMNS = tuple(UpstreamColumns.__annotations__)


@transaction.atomic
def create_upstream(*, by: Actor, secret: str = "", **columns: Unpack[UpstreamColumns]) -> Upstream:
    """A new upstream, with its first key if one is given.

    Raises `TooMany`, `NameTaken`, `SecretInvalid` and what `_checked` raises.
    """
    organizations.locked_organization()
    if Upstream.objects.count() >= MOST_UPSTREAMS:
        raise errors.TooMany(nouns="upstreams", limit=MOST_UPSTREAMS)
    upstream = _checked(Upstream(**{"base_url": BASE_URLS.get(columns.get("kind", ""), ""), **_given(columns)}))
    with unique_name("upstream", upstream.name):
        upstream.save()
    audit.record(by, "upstream.created", upstream, _told(upstream))
    if secret:
        add_secret(upstream, "First key", secret, by=by)
    publish()
    return upstream


@transaction.atomic
def update_upstream(upstream: Upstream, *, by: Actor, **wanted: Unpack[UpstreamColumns]) -> Upstream:
    """Change an upstream. Its keys stay behind when it moves to another server: they are nobody else's business.

    Raises `NameTaken` and what `_checked` raises.
    """
    upstream = Upstream.objects.select_for_update().get(pk=upstream.pk)
    before = Upstream(**{name: getattr(upstream, name) for name in COLUMNS})
    changes = apply_changes(upstream, _given(wanted))
    _checked(upstream)
    if not changes:
        return upstream
    with unique_name("upstream", upstream.name):
        upstream.save(update_fields=COLUMNS)
    changes.pop("headers", None)  # their values may be secrets
    removed = 0
    if is_moved(before, upstream):
        removed, _ = upstream.keys.all().delete()
    told: dict[str, Any] = changes | ({"headers": sorted(upstream.headers)} if "headers" in wanted else {})
    audit.record(by, "upstream.updated", upstream, told | ({"keys_removed": removed} if removed else {}))
    publish()
    return upstream


@transaction.atomic
def delete_upstream(upstream: Upstream, *, by: Actor) -> None:
    """Take an upstream away with its keys. Raises `UpstreamInUse`."""
    organizations.locked_organization()
    names = sorted(set(Route.objects.filter(targets__upstream=upstream).values_list("name", flat=True)))
    if names:
        raise errors.UpstreamInUse(names=", ".join(f"`{name}`" for name in names[:5]))
    audit.record(by, "upstream.deleted", upstream, _told(upstream))
    upstream.delete()
    publish()


@transaction.atomic
def add_secret(upstream: Upstream, name: str, secret: str, *, by: Actor) -> UpstreamKey:
    """A further key, sealed; nobody reads it back. Raises `SecretInvalid`, `NameTaken`, `TooMany`."""
    upstream = Upstream.objects.select_for_update().get(pk=upstream.pk)
    secret = secret.strip()
    if not SECRET.fullmatch(secret) or len(secret) > LONGEST_SECRET:
        raise errors.SecretInvalid(field="secret", most=LONGEST_SECRET)
    if upstream.keys.count() >= MOST_SECRETS:
        raise errors.TooMany(nouns="keys of an upstream", limit=MOST_SECRETS)
    sealed = sealing.seal(secret.encode(), upstream.sealing_place)
    # A short one would be told nearly whole.
    key = UpstreamKey(upstream=upstream, name=name, sealed=sealed, hint=secret[-4:] if len(secret) >= 16 else "")
    with unique_name("key", name):
        key.save()
    audit.record(by, "upstream.key_added", upstream, {"key": name})
    publish()
    return key


@transaction.atomic
def set_secret_paused(key: UpstreamKey, is_paused: bool, *, by: Actor) -> UpstreamKey:
    """Use a key no more, or again."""
    if key.is_paused != is_paused:
        key.is_paused = is_paused
        key.save(update_fields=["is_paused"])
        action = "upstream.key_paused" if is_paused else "upstream.key_resumed"
        audit.record(by, action, key.upstream, {"key": key.name})
        publish()
    return key


@transaction.atomic
def delete_secret(key: UpstreamKey, *, by: Actor) -> None:
    audit.record(by, "upstream.key_deleted", key.upstream, {"key": key.name})
    key.delete()
    publish()


@transaction.atomic
def add_local_model(*, by: Actor) -> Route:
    """The model that runs in this installation, as an upstream and a route; what is there already stays as it is.

    Raises `LocalModelOff`.
    """
    if not settings.LLM_URL:
        raise errors.LocalModelOff
    organizations.locked_organization()
    upstream = Upstream.objects.filter(kind=Kind.LOCAL).order_by("pk").first()
    if upstream is None:
        upstream = create_upstream(name=LOCAL_NAME, kind=Kind.LOCAL, by=by)
    route = Route.objects.filter(name=LOCAL_ROUTE).first()
    if route is None:
        route = Route.objects.create(name=LOCAL_ROUTE, description="A small model that runs in this installation.")
        Target.objects.create(route=route, upstream=upstream, model=LOCAL_MODEL)
        audit.record(by, "route.created", route, {"targets": [LOCAL_MODEL]})
        publish()
    return route


def is_moved(before: Upstream, after: Upstream) -> bool:
    """Whether calls go to another server than before, or are spoken to it in another way."""
    return before.kind != after.kind or _origin(before.base_url) != _origin(after.base_url)


def _origin(url: str) -> str:
    return str(outbound.parsed(url).origin()) if url else ""


def _given(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.strip() if isinstance(value, str) else value for name, value in columns.items()}


def _checked(upstream: Upstream) -> Upstream:
    """Raises `UrlNeeded`, `UrlNotNeeded`, `InvalidUrl`, `AddressRefused`, `VersionNeeded`, `HeadersInvalid`,
    `LocalModelOff`, `UpstreamInvalid`.
    """
    if upstream.kind == Kind.LOCAL:
        if upstream.base_url:
            raise errors.UrlNotNeeded(field="base_url")
        if not settings.LLM_URL:
            raise errors.LocalModelOff
    elif not upstream.base_url:
        raise errors.UrlNeeded(field="base_url")
    else:
        url = outbound.parsed(upstream.base_url, field="base_url")
        if upstream.kind != Kind.JSON and (url.query_string or url.fragment):
            raise outbound.InvalidUrl(field="base_url", reason="Here it cannot have a query.")
        upstream.base_url = str(url.with_fragment(None)).rstrip("/")
    if upstream.kind == Kind.AZURE and not upstream.api_version:
        raise errors.VersionNeeded(field="api_version")
    _require_headers(upstream.headers)
    _require_fields(upstream)
    return upstream


def _require_fields(upstream: Upstream) -> None:
    try:
        upstream.clean_fields(exclude=["headers"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise errors.UpstreamInvalid(field=field, reason=messages[0]) from None
    if upstream.most_at_once == 0:
        raise errors.UpstreamInvalid(field="most_at_once", reason="Leave it empty for no limit, or pause the upstream.")
    if not HEALTH_PATH.fullmatch(upstream.health_path) or upstream.health_path.startswith("//"):
        raise errors.UpstreamInvalid(field="health_path", reason="A path begins with one slash and has no spaces.")


def _require_headers(headers: Any) -> None:
    if not isinstance(headers, dict) or len(headers) > MOST_HEADERS:
        raise errors.HeadersInvalid(field="headers", reason=f"There may be {MOST_HEADERS} headers.")
    for name, value in headers.items():
        is_text = isinstance(value, str) and HEADER_VALUE.fullmatch(value) and len(value) <= LONGEST_VALUE
        if not HEADER_NAME.fullmatch(name) or not is_text:
            raise errors.HeadersInvalid(field="headers", reason=f"`{name[:100]}` cannot be sent.")
        if name.lower() in RESERVED:
            raise errors.HeadersInvalid(field="headers", reason=f"`{name}` is written by the gateway.")


def _told(upstream: Upstream) -> dict[str, Any]:
    told = {name: getattr(upstream, name) for name in ("name", "kind", "base_url", "api_version")}
    return {name: value for name, value in told.items() if value}
