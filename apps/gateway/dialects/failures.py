"""What went wrong at a provider, whatever its own words for it. Imports no Django."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic_core import from_json

from apps.gateway.enums import ErrorClass

LONGEST_MESSAGE = 1_000
LONGEST_WAIT_S = 3_600.0
SECRET = re.compile(r"(?i)\b(?:sk|pk|rk|key|gsk|xai|hf|my|myp)[-_][A-Za-z0-9_.\-*]{8,}|\bAIza[\w-]{20,}|\bBearer\s+\S+")
# The first that fits says the class: statuses, words in the provider's code or type, words in its message.
CLASSES: tuple[tuple[ErrorClass, frozenset[int], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        ErrorClass.CONTEXT_LENGTH,
        frozenset(),
        ("context_length", "string_above_max_length", "exceed_context", "prompt_too_long"),
        ("context length", "maximum context", "context window", "prompt is too long", "too many tokens"),
    ),
    (
        ErrorClass.CONTENT_FILTER,
        frozenset(),
        ("content_filter", "content_policy", "responsibleai", "safety"),
        (),
    ),
    (ErrorClass.RATE_LIMITED, frozenset({429}), ("rate_limit", "resource_exhausted", "insufficient_quota"), ()),
    (ErrorClass.OVERLOADED, frozenset({503, 529}), ("overloaded", "model_busy", "unavailable"), ()),
    (ErrorClass.KEY_REFUSED, frozenset({401, 403}), ("authentication", "permission", "invalid_api_key"), ()),
    (ErrorClass.NOT_FOUND, frozenset({404}), ("not_found", "deploymentnotfound"), ()),
    (ErrorClass.TIMEOUT, frozenset({408, 504}), ("timeout", "deadline_exceeded"), ()),
    (ErrorClass.INVALID_REQUEST, frozenset(range(400, 500)), ("invalid_request", "invalid_argument"), ()),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt's failure. `status` is the provider's, 0 where none came; `message` is the provider's, keys masked."""

    error_class: ErrorClass
    status: int
    message: str
    code: str = ""
    retry_after_s: float | None = None


def of_answer(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Failure:
    """What an answer that is no success says."""
    try:
        told = from_json(body)
    except ValueError:
        told = None
    message, code, kind = _told(told)
    if not message:
        message = body[:LONGEST_MESSAGE].decode("utf-8", "replace").strip() or f"status {status} without a word"
    error_class = classified(status, f"{code} {kind}".lower(), message.lower())
    return Failure(error_class, status, masked(message), code or kind, retry_after(dict(headers)))


def of_body(told: Any, status: int = 200) -> Failure | None:
    """What a body, or an event of a stream, says went wrong although its status is a success."""
    if not isinstance(told, dict) or not (told.get("error") or told.get("type") == "error"):
        return None
    message, code, kind = _told(told)
    inner = told["error"].get("code") if isinstance(told.get("error"), dict) else None
    status = inner if isinstance(inner, int) and 400 <= inner <= 599 else status
    error_class = classified(status, f"{code} {kind}".lower(), message.lower())
    return Failure(error_class, status, masked(message or "an error without a word"), code or kind)


def classified(status: int, codes: str, message: str) -> ErrorClass:
    for error_class, statuses, named, worded in CLASSES:
        is_told = any(word in codes for word in named) or any(word in message for word in worded)
        if is_told or status in statuses:
            return error_class
    return ErrorClass.SERVER_ERROR


def retry_after(headers: Mapping[bytes, bytes]) -> float | None:
    """Seconds to wait, as the provider's headers ask for it."""
    if (told := headers.get(b"retry-after-ms")) is not None and (seconds := _number(told)) is not None:
        return _bounded(seconds / 1000)
    told = headers.get(b"retry-after")
    if told is None:
        return None
    if (seconds := _number(told)) is not None:
        return _bounded(seconds)
    try:
        return _bounded(parsedate_to_datetime(told.decode("latin-1")).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def masked(text: str) -> str:
    """A provider's words without the keys in them."""
    return SECRET.sub("…", text)[:LONGEST_MESSAGE].replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _told(told: Any) -> tuple[str, str, str]:
    """Message, code and type, in the shapes that OpenAI, Anthropic, Gemini, Mistral, vLLM and Ollama use."""
    if isinstance(told, list) and told:
        told = told[0]
    if not isinstance(told, dict):
        return "", "", ""
    error = told.get("error", told)
    if isinstance(error, str):
        return error, "", ""
    if not isinstance(error, dict):
        return "", "", ""
    message = error.get("message") or error.get("detail") or ""
    code, kind = error.get("code") or "", error.get("type") or error.get("status") or ""
    inner = error.get("innererror")
    if isinstance(inner, dict) and inner.get("code"):
        kind = f"{kind} {inner['code']}"
    return _text(message), _text(code) if isinstance(code, str) else "", _text(kind)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _number(told: bytes) -> float | None:
    try:
        return float(told)
    except ValueError:
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if seconds == seconds else 0.0  # noqa: PLR0124 - not a number
