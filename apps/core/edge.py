"""The data plane's vocabulary: a call goes through stages and becomes an answer. Imports no Django.

A stage belongs to the app that owns its rule (`apps/<app>/edge.py`); `workers/edge` assembles them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, ClassVar, Protocol
from uuid import UUID

from pydantic_core import to_json

from apps.core.errors import DomainError, NotFound, problem_document


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One organization's compiled configuration, as the control plane published it."""

    organization_id: str
    version: int
    sections: dict[str, dict[str, Any]]


class Reply(Protocol):
    """The way back to the caller, for an answer that is sent piece by piece."""

    sent_bytes: int

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the answer's head, with the call's `told`."""

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body. Raises ClientGone when nobody reads it any more."""

    async def until_gone(self) -> None:
        """Return when the caller has closed; the body has been read by then."""


class Unsendable:
    """The way back of a call that nobody sent, as in a test of a stage."""

    sent_bytes = 0

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        raise NotImplementedError

    async def send(self, piece: bytes) -> None:
        raise NotImplementedError

    async def until_gone(self) -> None:
        raise NotImplementedError


@dataclass(slots=True)
class Call:
    """One request on its way through the stages, and what they have learned about it.

    `events` are streams and what makes their events. That happens later, so that nobody waits for it: `ended_at`, in
    seconds of the epoch, is known by then and the body is gone. `event_ids` are by meter what was reserved before.

    `quantities` and `costs` (micro-USD) are by meter what the ledger is told, `taken` what limits by tokens and cost
    count. `told` are headers that stages add to whatever answer there will be. `context` belongs to the app that
    serves the route. What serves a call may send its answer itself, with `reply`, before it returns.
    """

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    client: str
    request_id: str
    read: Callable[[], Awaitable[bytes]]
    reply: Reply = field(default_factory=Unsendable)
    refusal: Refusal = field(default_factory=lambda: problem)  # how the caller is told of one
    body: bytes = b""
    started_ns: int = field(default_factory=time.perf_counter_ns)
    ended_at: float = 0.0
    route: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    organization_id: str | None = None
    token_id: str | None = None
    user_id: str | None = None
    permissions: frozenset[str] = frozenset()
    snapshot: Snapshot | None = None
    model: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)
    quantities: dict[str, int] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    event_ids: dict[str, UUID] = field(default_factory=dict)
    told: list[tuple[bytes, bytes]] = field(default_factory=list)
    context: Any = None
    events: list[tuple[str, Callable[[], dict[str, Any]]]] = field(default_factory=list)


@dataclass(slots=True)
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(slots=True)
class Sent(Answer):
    """What was sent already; `body` is empty."""


Proceed = Callable[[Call], Awaitable[Answer]]
Refusal = Callable[[DomainError, str], Answer]
Stage = Callable[[Call, Proceed], Awaitable[Answer]]


class MethodNotAllowed(DomainError):
    code = "method_not_allowed"
    status = 405
    detail = "{path} answers {allowed} only."


class BodyTooLarge(DomainError):
    code = "body_too_large"
    status = 413
    detail = "The body is larger than {limit_bytes} bytes. Send fewer rows at a time."


class ClientGone(DomainError):
    """Raised when the client closed before its body was complete; nobody waits for an answer."""

    code = "client_gone"
    status = 499
    detail = "The client closed the connection before its request was complete."


def compose(stages: Sequence[Stage], last: Proceed) -> Proceed:
    """One function that sends a call through `stages` in order and then to `last`."""
    return reduce(_before, reversed(stages), last)


def _before(proceed: Proceed, stage: Stage) -> Proceed:
    return partial(stage, proceed=proceed)  # type: ignore[call-arg]


class Router:
    """Chooses what serves a call by its method and path; itself the last step of a pipeline.

    A template such as `/v2/models/{name}/infer` names its parameters; `{name*}` may hold slashes. The first that fits
    wins. Refusals below a prefix are told as its callers read them.
    """

    _parameter: ClassVar[re.Pattern[str]] = re.compile(r"\{(\w+)(\*?)\}")

    def __init__(self) -> None:
        self._routes: list[tuple[re.Pattern[str], str, dict[str, Proceed]]] = []
        self._refusals: list[tuple[str, Refusal]] = []

    def refuse(self, prefix: str, refusal: Refusal) -> None:
        """Tell refusals of paths that begin so with `refusal`; of several prefixes the one added last counts."""
        self._refusals.insert(0, (prefix, refusal))

    def add(self, method: str, template: str, serve: Proceed) -> None:
        pattern = re.compile(self._parameter.sub(_group, template) + "/?")
        self._routes.append((pattern, template, {method: serve}))

    async def __call__(self, call: Call) -> Answer:
        call.refusal = self._refusal(call.path)
        allowed: set[str] = set()
        for pattern, template, methods in self._routes:
            found = pattern.fullmatch(call.path)
            if found is None:
                continue
            if call.method in methods:
                call.route, call.parameters = template, found.groupdict()
                return await methods[call.method](call)
            allowed |= methods.keys()
        raise _unrouted(call, allowed)

    def _refusal(self, path: str) -> Refusal:
        return next((refusal for prefix, refusal in self._refusals if path.startswith(prefix)), problem)


def _unrouted(call: Call, allowed: set[str]) -> DomainError:
    if not allowed:
        return NotFound()
    error = MethodNotAllowed(path=call.path, allowed=", ".join(sorted(allowed)))
    error.headers = {"Allow": ", ".join(sorted(allowed))}  # type: ignore[misc]
    return error


def _group(found: re.Match[str]) -> str:
    name, is_deep = found.groups()
    return f"(?P<{name}>{'.+?' if is_deep else '[^/]+'})"


async def receive(call: Call, proceed: Proceed) -> Answer:
    """Read the call's body; stands behind authentication, so that nobody else's is taken in."""
    call.body = await call.read()
    return await proceed(call)


def json_answer(content: Any, status: int = 200) -> Answer:
    return Answer(status, [(b"content-type", b"application/json")], to_json(content))


def problem(error: DomainError, request_id: str) -> Answer:
    """The refusal as RFC 9457 `application/problem+json`; `error` is where Open Inference clients look."""
    document = {**problem_document(error, request_id), "error": error.message}
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    return Answer(error.status, [(b"content-type", b"application/problem+json"), *headers], to_json(document))
