"""Asks an upstream for its models, as the data plane would ask it, so that a mistake shows before calls do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from pydantic_core import from_json

from apps.audit import services as audit
from apps.core import own_endpoints, sealing
from apps.core.actors import Actor
from apps.core.errors import DomainError
from apps.core.outbound import client as outbound
from apps.gateway import configuration, errors, snapshot
from apps.gateway.dialects import failures
from apps.gateway.enums import Kind
from apps.gateway.models import Upstream
from apps.gateway.sending import asking_url, fields_of

LIMITS = outbound.Limits(connect_s=3.0, read_s=5.0, total_s=8.0, max_bytes=2_000_000)
MOST_MODELS = 500


@dataclass(frozen=True, slots=True)
class Check:
    """What an upstream said. `message` is why it would not serve calls; `models` are those that it names."""

    is_ok: bool
    status: int
    latency_ms: int
    message: str = ""
    models: list[str] = field(default_factory=list)


def check_upstream(upstream: Upstream, *, by: Actor) -> Check:
    """One small call to the upstream with its first key. What goes wrong with it is told in the result."""
    started = time.monotonic()
    try:
        status, headers, body = _asked(upstream)
    except DomainError as error:
        check = Check(False, 0, _ms_since(started), error.message)
    except sealing.Unsealable:
        check = Check(False, 0, _ms_since(started), "Its key cannot be opened any more. Add it again.")
    except OSError as error:
        check = Check(False, 0, _ms_since(started), f"It could not be reached: {error}.")
    else:
        check = _read(upstream, status, headers, body, _ms_since(started))
    audit.record(by, "upstream.checked", upstream, {"is_ok": check.is_ok, "status": check.status})
    return check


def _asked(upstream: Upstream) -> tuple[int, dict[str, str], bytes]:
    if upstream.kind == Kind.LOCAL:
        return _local()
    told = snapshot.told(upstream)
    known = configuration.upstream_of(str(upstream.organization_id), str(upstream.pk), told)
    key = upstream.keys.filter(is_paused=False).order_by("pk").first()
    secret = sealing.unseal(bytes(key.sealed), upstream.sealing_place) if key else b""
    headers = {name.decode(): value.decode() for name, value in fields_of(known, secret, {})}
    answer = outbound.request("GET", str(asking_url(known)), headers=headers, limits=LIMITS)
    return answer.status, dict(answer.headers), answer.body


def _local() -> tuple[int, dict[str, str], bytes]:
    if not settings.LLM_URL:
        raise errors.LocalModelOff
    status, body = own_endpoints.answer_of(f"{settings.LLM_URL}/models", LIMITS.total_s, LIMITS.max_bytes)
    return status, {}, body


def _read(upstream: Upstream, status: int, headers: dict[str, str], body: bytes, latency_ms: int) -> Check:
    # A plain model's address takes predictions only: that it answers at all is what can be known without one.
    if upstream.kind == Kind.JSON and not upstream.health_path and status in {400, 404, 405, 411, 415, 422}:
        return Check(True, status, latency_ms)
    if not 200 <= status < 300:
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        return Check(False, status, latency_ms, failures.of_answer(status, fields, body).message)
    models = _models(body)
    if upstream.kind != Kind.JSON and models is None:
        return Check(False, status, latency_ms, "It answers, but not with a list of models. Look at its address.")
    return Check(True, status, latency_ms, models=(models or [])[:MOST_MODELS])


def _models(body: bytes) -> list[str] | None:
    """The names in a list of models, as OpenAI, Anthropic and Gemini write it; None if it is none."""
    try:
        told = from_json(body)
    except ValueError:
        return None
    listed = (told.get("data") or told.get("models") or []) if isinstance(told, dict) else None
    return [_name(one) for one in listed if _name(one)] if isinstance(listed, list) else None


def _name(one: Any) -> str:
    name = (one.get("id") or one.get("name") or "") if isinstance(one, dict) else ""
    return name.removeprefix("models/")[:200] if isinstance(name, str) else ""


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
