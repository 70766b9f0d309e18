"""What an upstream's answer says of itself: tokens, failures, whether it has begun and ended. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic_core import from_json

from apps.gateway.dialects import failures, tokens
from apps.gateway.dialects.failures import Failure
from apps.gateway.dialects.sse import Event, Malformed
from apps.gateway.dialects.tokens import Tokens
from apps.gateway.enums import Face

MOST_KEPT_BYTES = 4 * 1024 * 1024
SPOKEN = ("content", "reasoning_content", "text")


class Reading(Protocol):
    """Filled by `whole` or event by event. `tokens` are None where the provider told none; then `text` is what can be
    counted. `has_content` is True from the first event on that holds something of the answer.
    """

    tokens: Tokens | None
    failure: Failure | None
    has_content: bool
    is_finished: bool

    def whole(self, body: Mapping[str, Any]) -> None: ...

    def feed(self, event: Event) -> None:
        """Raises Malformed."""

    def text(self) -> str: ...


class OpenAiReading:
    """Of chat, completions and embeddings."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.failure: Failure | None = None
        self.has_content = self.is_finished = self.is_only_usage = False
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._body: Mapping[str, Any] = {}

    def whole(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self.failure = failures.of_body(body)
        self.tokens = tokens.of_openai(body.get("usage"))
        self.has_content = self.is_finished = self.failure is None

    def feed(self, event: Event) -> None:
        self.is_only_usage = False
        data = event.data
        if event.is_done:
            self.is_finished = True
            return
        if not data:
            return
        # Parsing each event costs more than sending it, and most say nothing that has to be known here.
        says_usage = b'"usage"' in data and b'"usage":null' not in data and b'"usage": null' not in data
        if self.has_content and not says_usage and b'"error"' not in data:
            if not data.startswith(b"{"):
                raise Malformed("an event is no object")
            self._keep(data)
            return
        self._read(parsed(data), data)

    def text(self) -> str:
        whole = [self._body] if self._body else [from_json(data) for data in self._kept]
        return "".join(_texts(whole))

    def _read(self, told: Mapping[str, Any], data: bytes) -> None:
        self.failure = failures.of_body(told)
        if found := tokens.of_openai(told.get("usage")):
            self.tokens = found
        choices = told.get("choices")
        self.is_only_usage = not choices and self.tokens is not None
        if choices:
            self._keep(data)
            self.has_content = self.has_content or any(_has_content(choice) for choice in choices)

    def _keep(self, data: bytes) -> None:
        if self._kept_bytes < MOST_KEPT_BYTES:
            self._kept.append(data)
            self._kept_bytes += len(data)


def _has_content(choice: Any) -> bool:
    if not isinstance(choice, Mapping):
        raise Malformed("a choice is no object")
    delta = choice.get("delta")
    if not isinstance(delta, Mapping):
        return bool(choice.get("text"))
    return any(value for name, value in delta.items() if name != "role") or bool(choice.get("finish_reason"))


def _texts(events: list[Any]) -> list[str]:
    found = []
    for told in events:
        for choice in told.get("choices") or ():
            part = choice.get("delta") or choice.get("message") or choice
            found += [
                part[name] for name in ("content", "reasoning_content", "text") if isinstance(part.get(name), str)
            ]
            for call in part.get("tool_calls") or ():
                function = call.get("function") or {}
                found += [function[name] for name in ("name", "arguments") if isinstance(function.get(name), str)]
    return found


def parsed(data: bytes) -> Mapping[str, Any]:
    """An event's data. Raises Malformed."""
    try:
        told = from_json(data)
    except ValueError as error:
        raise Malformed(f"an event is no JSON: {error}") from None
    if not isinstance(told, dict):
        raise Malformed("an event is no object")
    return told


READINGS: dict[Face, Callable[[], Reading]] = {
    Face.CHAT: OpenAiReading,
    Face.COMPLETIONS: OpenAiReading,
    Face.EMBEDDINGS: OpenAiReading,
}
