"""One probe for each component: it does what users do, and says what failed by a code, never by an error's text."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import redis
from django.conf import settings
from django.db import Error, connections
from kombu.exceptions import OperationalError as BrokerError

from apps.console.status import streams
from apps.core import heartbeats, own_endpoints, storage
from apps.core.errors import DomainError
from apps.core.health import check_database
from apps.jobs import queues
from apps.usage import checking

HTTP_TIMEOUT_S = 5.0
ECHO_TIMEOUT_S = 8
LAG_LIMIT_S = 30.0
ECHO_KEY = "echo:{nonce}"
PROBE_FOLDER = "probes"


class ProbeFailed(Exception):
    """The component answered, but not as it should."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a probe saw; `error_code` is empty when all was well."""

    latency_ms: float | None
    error_code: str = ""


# A probe returns what it measured itself in milliseconds, or None when its own time is the measure.
Probe = Callable[[], float | None]
FAILURES = (ProbeFailed, Error, redis.RedisError, BrokerError, OSError, DomainError)


def probes() -> Mapping[str, Callable[[], Outcome]]:
    """The probes of what this installation has."""
    chosen: dict[str, Probe] = {
        "web": partial(_answers, f"{settings.WEB_PROBE_URL}/accounts/login/", 200),
        "api": partial(_answers, f"{settings.WEB_PROBE_URL}/api/v1/me/", 401),
        "edge": partial(_answers, f"{settings.EDGE_PROBE_URL}/v2/health/ready", 200),
        "database": check_database,
        "redis": _redis,
        "storage": _storage,
        "jobs": _jobs,
        "messages": _messages,
        "usage": _usage,
        "scaler": _scaler,
    }
    if settings.LLM_URL:
        chosen["models"] = partial(_answers, f"{settings.LLM_URL}/models", 200)
    return {name: partial(_outcome, probe) for name, probe in chosen.items()}


def _outcome(probe: Probe) -> Outcome:
    started = time.perf_counter()
    try:
        measured = probe()
    except FAILURES as error:
        return Outcome(None, _code(error))
    finally:
        connections.close_all()
    return Outcome((time.perf_counter() - started) * 1000 if measured is None else measured)


def _code(error: Exception) -> str:
    match error:
        case ProbeFailed():
            return error.code
        case TimeoutError() | redis.TimeoutError():
            return "timeout"
        case ConnectionError() | redis.ConnectionError() | BrokerError():
            return "unreachable"
        case _:
            return "failing"


def _answers(url: str, status: int) -> None:
    if own_endpoints.status_of(url, HTTP_TIMEOUT_S) != status:
        raise ProbeFailed("wrong_answer")


def _redis() -> None:
    client().ping()


def _storage() -> None:
    """Write, read and delete a file outside every organization's folder."""
    path, content = f"{PROBE_FOLDER}/{secrets.token_hex(8)}", secrets.token_bytes(64)
    try:
        storage.store(path, io.BytesIO(content))
        with storage.open_stream(path) as stored:
            if stored.read() != content:
                raise ProbeFailed("wrong_answer")
    finally:
        storage.delete(path)


def _jobs() -> None:
    if queues.unserved():
        raise ProbeFailed("silent")


def _messages() -> None:
    """A message to a worker and its answer. Workers that are alive and too busy to answer are told apart from none."""
    from apps.console.tasks import echo

    nonce = secrets.token_hex(8)
    echo.apply_async(args=(nonce,), expires=ECHO_TIMEOUT_S, retry=False)
    if client().blpop([ECHO_KEY.format(nonce=nonce)], timeout=ECHO_TIMEOUT_S) is None:
        raise ProbeFailed("busy" if heartbeats.is_alive(client(), "worker") else "silent")


def answer_echo(nonce: str) -> None:
    with client().pipeline(transaction=True) as pipe:
        pipe.rpush(ECHO_KEY.format(nonce=nonce), 1)
        pipe.expire(ECHO_KEY.format(nonce=nonce), 60)
        pipe.execute()


def _usage() -> float:
    lag_s = max(age_s for _, age_s in streams.waiting(client()).values())
    if lag_s > LAG_LIMIT_S:
        raise ProbeFailed("lagging")
    if streams.is_filling(client()):
        raise ProbeFailed("filling")
    if (checked := checking.last_check()) and checked["differences"]:
        raise ProbeFailed("differing")
    if not heartbeats.is_alive(client(), "sink"):
        raise ProbeFailed("silent")
    return lag_s * 1000


def _scaler() -> float:
    age_s = heartbeats.age_s(client(), "scaler")
    if age_s is None or age_s > heartbeats.SILENT_AFTER_S:
        raise ProbeFailed("silent")
    return age_s * 1000


@cache
def client() -> Any:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=ECHO_TIMEOUT_S + 2, socket_connect_timeout=2)
