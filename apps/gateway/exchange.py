"""What is known of one model's call on its way through the gateway. Imports no Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from apps.core.ids import uuid7
from apps.gateway.configuration import Gateway, Key, Route, Target
from apps.gateway.enums import ErrorClass, Face

if TYPE_CHECKING:
    from apps.gateway.dialects.tokens import Tokens


@dataclass(slots=True)
class Attempt:
    """One try of one target. Times are seconds of the event loop's clock; `status` 0: no answer came."""

    target: Target
    started: float
    key_id: str = ""
    took_s: float = 0.0
    status: int = 0
    error_class: ErrorClass | None = None
    message: str = ""
    is_hedge: bool = False


@dataclass(slots=True)
class Exchange:
    """A call of a model: what was asked, whom it was sent to, and what came of it.

    `id` is the one of what is recorded. `body` is the request as the caller's face has it, `raw` its bytes.
    `input_estimate` and `output_most` are tokens that it may take. `tee` is handed each piece of the answer as the
    caller gets it. `first_token_ns` is by `time.perf_counter_ns`. `tokens` are None where nobody could tell or
    count them, `cost` (micro-USD) where a price is missing; `saved` is what a cache hit would have cost.
    `error_class` is of a failure after the answer had begun.
    """

    face: Face
    gateway: Gateway
    key: Key | None = None
    id: UUID = field(default_factory=uuid7)
    body: dict[str, Any] = field(default_factory=dict)
    raw: bytes = b""
    is_stream: bool = False
    route: Route | None = None
    input_estimate: int = 0
    output_most: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    target: Target | None = None
    tee: list[Callable[[bytes], None]] = field(default_factory=list)
    first_token_ns: int | None = None
    tokens: Tokens | None = None
    cost: int | None = None
    saved: int | None = None
    cache: str = ""
    error_class: ErrorClass | None = None
    error_code: str = ""
    experiment: str = ""
    fault: str = ""
