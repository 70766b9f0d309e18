"""How a request looks to each kind of upstream: where it goes, what it carries, what is spoken. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

from yarl import URL

from apps.gateway.configuration import Target, Upstream, UpstreamKey
from apps.gateway.dialects.translations import TRANSLATIONS
from apps.gateway.enums import Face, Kind

Unseal = Callable[[bytes, str], bytes]
Fields = list[tuple[bytes, bytes]]

ANTHROPIC_VERSION = b"2023-06-01"
COOLED_S = 5.0  # a key that is limited and says not for how long
SET_ASIDE_S = 60.0  # a key that is refused
# What is said to an upstream of this kind, by what its caller speaks; what is missing is translated into chat.
SPOKEN: dict[Kind, frozenset[Face]] = {
    Kind.OPENAI: frozenset({Face.CHAT, Face.COMPLETIONS, Face.EMBEDDINGS, Face.RESPONSES}),
    Kind.AZURE: frozenset({Face.CHAT, Face.COMPLETIONS, Face.EMBEDDINGS}),
    Kind.COMPATIBLE: frozenset({Face.CHAT, Face.COMPLETIONS, Face.EMBEDDINGS}),
    Kind.LOCAL: frozenset({Face.CHAT, Face.COMPLETIONS, Face.EMBEDDINGS}),
    Kind.ANTHROPIC: frozenset({Face.MESSAGES}),
    Kind.GEMINI: frozenset({Face.GENERATE}),
    Kind.JSON: frozenset({Face.INFER}),
}
PATHS = {
    Face.CHAT: "chat/completions",
    Face.COMPLETIONS: "completions",
    Face.EMBEDDINGS: "embeddings",
    Face.RESPONSES: "responses",
    Face.MESSAGES: "v1/messages",
}
PASSED_ON = {Kind.ANTHROPIC: (b"anthropic-beta",), Kind.OPENAI: (b"openai-beta", b"openai-organization")}


def speaks(target: Target, face: Face) -> bool:
    """Whether the target can be asked what callers of that face ask."""
    dialect = dialect_of(target.upstream.kind, face) if target.upstream else Face.INFER
    return (face, dialect) in TRANSLATIONS


def dialect_of(kind: Kind, face: Face) -> Face:
    """What an upstream of this kind is spoken to in, for a caller of that face."""
    spoken = SPOKEN[kind]
    if face in spoken:
        return face
    return Face.CHAT if Face.CHAT in spoken else next(iter(spoken))


@lru_cache(10_000)
def url_of(base: URL, model: str, kind: Kind, dialect: Face, is_stream: bool, api_version: str) -> URL:
    """Where a call of the model in `dialect` goes."""
    model = quote(model, safe="")
    if kind == Kind.JSON:
        return base
    if kind == Kind.AZURE:
        placed = _below(base, f"openai/deployments/{model}/{PATHS[dialect]}")
        return placed.with_query({"api-version": api_version})
    if kind == Kind.GEMINI:
        if is_stream:
            return _below(base, f"v1beta/models/{model}:streamGenerateContent").with_query(alt="sse")
        return _below(base, f"v1beta/models/{model}:generateContent")
    return _below(base, PATHS[dialect])


def asking_url(upstream: Upstream) -> URL:
    """Where an upstream that has an address lists its models; a plain model, whether it is well."""
    base = upstream.base_url
    assert base is not None  # noqa: S101
    match upstream.kind:
        case Kind.AZURE:
            return _below(base, "openai/models").with_query({"api-version": upstream.api_version})
        case Kind.ANTHROPIC:
            return _below(base, "v1/models")
        case Kind.GEMINI:
            return _below(base, "v1beta/models")
        case Kind.JSON:
            return _below(base, upstream.health_path.lstrip("/")) if upstream.health_path else base
    return _below(base, "models")


def health_url(base: URL, upstream: Upstream) -> URL:
    return _below(base, upstream.health_path.lstrip("/"))


def _below(base: URL, path: str) -> URL:
    return URL(f"{str(base).rstrip('/')}/{path}", encoded=True)


def fields_of(upstream: Upstream, secret: bytes, headers: Mapping[bytes, bytes]) -> Fields:
    """The headers of a call: the upstream's own, its key, and what of the caller's is for the provider."""
    fields: Fields = [(b"content-type", b"application/json"), (b"user-agent", b"Modelyard")]
    fields += [(name.lower().encode(), value.encode()) for name, value in upstream.headers.items()]
    fields += [(name, headers[name]) for name in PASSED_ON.get(upstream.kind, ()) if name in headers]
    if upstream.kind == Kind.ANTHROPIC:
        fields.append((b"anthropic-version", headers.get(b"anthropic-version", ANTHROPIC_VERSION)))
    if secret:
        fields.append(_credential(upstream.kind, secret))
    return fields


def _credential(kind: Kind, secret: bytes) -> tuple[bytes, bytes]:
    match kind:
        case Kind.AZURE:
            return b"api-key", secret
        case Kind.ANTHROPIC:
            return b"x-api-key", secret
        case Kind.GEMINI:
            return b"x-goog-api-key", secret
    return b"authorization", b"Bearer " + secret


@dataclass(slots=True)
class Keys:
    """The keys of upstreams, opened once each, in turn, without those that rest."""

    unseal: Unseal
    _opened: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    _rests_until: dict[str, float] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)

    def next(self, upstream: Upstream, now: float) -> UpstreamKey | None:
        """The key for the next attempt; when all rest, the one that rests the shortest. None if there are none."""
        keys = upstream.keys
        if len(keys) < 2:
            return keys[0] if keys else None
        turn = self._turns[upstream.id] = self._turns.get(upstream.id, -1) + 1
        inorder = [keys[(turn + index) % len(keys)] for index in range(len(keys))]
        awake = (key for key in inorder if self._rests_until.get(key.id, 0.0) <= now)
        return next(awake, None) or min(keys, key=lambda key: self._rests_until[key.id])

    def has_another(self, upstream: Upstream, now: float) -> bool:
        """Whether some key of the upstream may be used now."""
        return any(self._rests_until.get(key.id, 0.0) <= now for key in upstream.keys)

    def rest(self, key_id: str, until: float) -> None:
        self._rests_until[key_id] = until

    def secret(self, upstream: Upstream, key: UpstreamKey | None) -> bytes:
        if key is None:
            return b""
        place = (key.id, key.sealed)
        if place not in self._opened:
            if len(self._opened) > 10_000:
                self._opened.clear()
            self._opened[place] = self.unseal(key.sealed, upstream.place)
        return self._opened[place]

    def resting(self, upstream: Upstream, now: float) -> dict[str, float]:
        """Seconds for which keys of the upstream rest."""
        ends = {key.id: self._rests_until.get(key.id, 0.0) for key in upstream.keys}
        return {key_id: end - now for key_id, end in ends.items() if end > now}
