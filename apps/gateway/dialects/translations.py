"""From what a caller speaks to what an upstream speaks, and back. Imports no Django."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from apps.gateway.dialects.anthropic import MessagesDialect, MessagesFace
from apps.gateway.dialects.chat import ChatDialect, ChatFace
from apps.gateway.dialects.errors import NoFace
from apps.gateway.dialects.gemini import GenerateDialect
from apps.gateway.dialects.readings import Reading, parsed
from apps.gateway.dialects.responses import ResponsesFace
from apps.gateway.dialects.sse import Event
from apps.gateway.enums import Face


class StreamTranslation(Protocol):
    def feed(self, event: Event, reading: Reading) -> list[bytes]:
        """What the caller is sent for an upstream's event that `reading` has read."""

    def end(self) -> list[bytes]:
        """What the caller is sent once the upstream has ended."""


class Translation(Protocol):
    """`is_identity`: a whole answer goes back as it came."""

    is_identity: bool

    def request(self, body: Mapping[str, Any], model: str) -> dict[str, Any]: ...

    def answer(self, body: Mapping[str, Any]) -> Any: ...

    def stream(self, body: Mapping[str, Any]) -> StreamTranslation: ...


class Same:
    """Both speak alike: only the model's name changes, and streams are asked to tell their tokens."""

    is_identity = True

    def __init__(self, face: Face) -> None:
        self._tells_usage_if_asked = face in {Face.CHAT, Face.COMPLETIONS}

    def request(self, body: Mapping[str, Any], model: str) -> dict[str, Any]:
        told = {**body, "model": model}
        if self._tells_usage_if_asked and body.get("stream") is True:
            told["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        return told

    def answer(self, body: Mapping[str, Any]) -> Any:
        return body

    def stream(self, body: Mapping[str, Any]) -> StreamTranslation:
        was_asked = bool((body.get("stream_options") or {}).get("include_usage"))
        return Passing(leaves_usage_out=self._tells_usage_if_asked and not was_asked)


class Passing:
    """Events byte for byte, but for the one of tokens that only we asked for."""

    def __init__(self, *, leaves_usage_out: bool) -> None:
        self._leaves_usage_out = leaves_usage_out

    def feed(self, event: Event, reading: Reading) -> list[bytes]:
        if self._leaves_usage_out and getattr(reading, "is_only_usage", False):
            return []
        return [event.raw]

    def end(self) -> list[bytes]:
        return []


class ThroughChat:
    """What a face says, made chat, made what the dialect says; and back."""

    is_identity = False

    def __init__(self, face: Any, dialect: Any) -> None:
        self._face = face
        self._dialect = dialect

    def request(self, body: Mapping[str, Any], model: str) -> dict[str, Any]:
        return self._dialect.request(self._face.request(body), model)

    def answer(self, body: Mapping[str, Any]) -> Any:
        return self._face.answer(self._dialect.answer(body))

    def stream(self, body: Mapping[str, Any]) -> StreamTranslation:
        return StreamThroughChat(self._face.stream(body), self._dialect.chunks())


class StreamThroughChat:
    def __init__(self, face: Any, dialect: Any) -> None:
        self._face = face
        self._dialect = dialect

    def feed(self, event: Event, reading: Reading) -> list[bytes]:
        if not event.data or event.is_done:
            return []
        return self._told(self._dialect.feed(parsed(event.data)))

    def end(self) -> list[bytes]:
        return self._told(self._dialect.end()) + self._face.end()

    def _told(self, chunks: list[dict[str, Any]]) -> list[bytes]:
        return [piece for chunk in chunks for piece in self._face.feed(chunk)]


FACES = {Face.CHAT: ChatFace, Face.MESSAGES: MessagesFace, Face.RESPONSES: ResponsesFace}
DIALECTS = {Face.CHAT: ChatDialect, Face.MESSAGES: MessagesDialect, Face.GENERATE: GenerateDialect}
TRANSLATIONS: dict[tuple[Face, Face], Translation] = {
    (face, dialect): ThroughChat(FACES[face](), DIALECTS[dialect]()) for face in FACES for dialect in DIALECTS
}
TRANSLATIONS |= {(face, face): Same(face) for face in Face if face != Face.GENERATE}


def translation(face: Face, dialect: Face) -> Translation:
    """Raises NoFace."""
    try:
        return TRANSLATIONS[face, dialect]
    except KeyError:
        raise NoFace(dialect=dialect) from None
