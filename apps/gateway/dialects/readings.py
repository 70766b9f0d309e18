"""What an upstream's answer says of itself: tokens, failures, whether it has begun and ended. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pydantic_core import from_json

from apps.gateway.dialects import failures, tokens
from apps.gateway.dialects.failures import Failure
from apps.gateway.dialects.sse import Event, Malformed
from apps.gateway.dialects.tokens import Tokens
from apps.gateway.enums import ErrorClass, Face

MOST_KEPT_BYTES = 4 * 1024 * 1024


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
    if not isinstance(choice, dict):
        raise Malformed("a choice is no object")
    delta = choice.get("delta")
    if not isinstance(delta, dict):
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


class EventReading:
    """Of dialects whose events are all read, as they are objects of many kinds."""

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.failure: Failure | None = None
        self.has_content = self.is_finished = False
        self._said: list[str] = []
        self._said_chars = 0

    def whole(self, body: Mapping[str, Any]) -> None:
        self.failure = failures.of_body(body)
        if self.failure is None:
            self._answer(body)
            self.has_content = self.is_finished = self.failure is None

    def feed(self, event: Event) -> None:
        if not event.data or event.is_done:
            return
        told = parsed(event.data)
        self.failure = failures.of_body(told)
        if self.failure is None:
            self._event(told)

    def text(self) -> str:
        return "".join(self._said)

    def _say(self, text: Any) -> None:
        if isinstance(text, str) and text and self._said_chars < MOST_KEPT_BYTES:
            self._said.append(text)
            self._said_chars += len(text)

    def _answer(self, body: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def _event(self, told: Mapping[str, Any]) -> None:
        raise NotImplementedError


class MessagesReading(EventReading):
    """Of Anthropic's messages. The usage of a stream's end repeats or corrects that of its start."""

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Any] = {}

    def _answer(self, body: Mapping[str, Any]) -> None:
        self._count(body)
        for block in objects(body.get("content")):
            self._say_block(block)

    def _event(self, told: Mapping[str, Any]) -> None:
        match told.get("type"):
            case "message_start":
                self._count(mapping(told.get("message")))
            case "content_block_start":
                self.has_content = True
            case "content_block_delta":
                self.has_content = True
                self._say_block(mapping(told.get("delta")))
            case "message_delta":
                self.has_content = True
                self._count(told)
            case "message_stop":
                self.is_finished = True

    def _count(self, told: Mapping[str, Any]) -> None:
        usage = mapping(told.get("usage"))
        self._usage.update((name, count) for name, count in usage.items() if count is not None)
        self.tokens = tokens.of_anthropic(self._usage)

    def _say_block(self, block: Mapping[str, Any]) -> None:
        for name in ("text", "thinking", "partial_json"):
            self._say(block.get(name))


class GenerateReading(EventReading):
    """Of Gemini's generateContent, whose stream is a row of whole answers."""

    def _answer(self, body: Mapping[str, Any]) -> None:
        self._event(body)

    def _event(self, told: Mapping[str, Any]) -> None:
        if found := tokens.of_gemini(told.get("usageMetadata")):
            self.tokens = found
        if reason := mapping(told.get("promptFeedback")).get("blockReason"):
            self.failure = Failure(ErrorClass.CONTENT_FILTER, 200, f"The prompt was blocked: {reason}", str(reason))
        for candidate in objects(told.get("candidates")):
            self.is_finished = self.is_finished or bool(candidate.get("finishReason"))
            self.has_content = self.has_content or self.is_finished
            for part in objects(mapping(candidate.get("content")).get("parts")):
                self.has_content = True
                self._say(part.get("text"))


class ResponsesReading(EventReading):
    def _answer(self, body: Mapping[str, Any]) -> None:
        self.tokens = tokens.of_openai(body.get("usage"))
        for item in objects(body.get("output")):
            self._say(item.get("arguments"))
            for part in objects(item.get("content")):
                self._say(part.get("text"))

    def _event(self, told: Mapping[str, Any]) -> None:
        kind = str(told.get("type"))
        if kind.endswith(".delta"):
            self.has_content = True
            self._say(told.get("delta"))
        if kind in {"response.completed", "response.incomplete"}:
            self.has_content = self.is_finished = True
            self.tokens = tokens.of_openai(mapping(told.get("response")).get("usage"))
        if kind == "response.failed":
            told = mapping(told.get("response"))
            self.failure = failures.of_body({"error": told.get("error") or "the response failed"})


class InferReading(EventReading):
    """Of models that take no tokens."""

    def _answer(self, body: Mapping[str, Any]) -> None:
        self.tokens = Tokens()

    def _event(self, told: Mapping[str, Any]) -> None:
        self.has_content = True


def mapping(value: Any) -> Mapping[str, Any]:
    """What should be an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of what should be a list of them."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


READINGS: dict[Face, Callable[[], Reading]] = {
    Face.CHAT: OpenAiReading,
    Face.COMPLETIONS: OpenAiReading,
    Face.EMBEDDINGS: OpenAiReading,
    Face.RESPONSES: ResponsesReading,
    Face.MESSAGES: MessagesReading,
    Face.GENERATE: GenerateReading,
    Face.INFER: InferReading,
}
