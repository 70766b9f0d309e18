"""What a call asked and was answered, where its route keeps that: redacted, cut, on a stream. Imports no Django.

A body is kept as JSON, whatever its face and also of a stream, so that a secret is found as a whole and not in pieces.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic_core import from_json, to_json

from apps.core.edge import Answer, Call, Proceed
from apps.core.errors import DomainError
from apps.core.masking import MASK, is_secret_name, masked_text
from apps.gateway import replaying
from apps.gateway.dialects import failures
from apps.gateway.dialects.readings import READINGS
from apps.gateway.dialects.sse import Malformed, Parser
from apps.gateway.exchange import Exchange

STREAM = "events:bodies"
MOST_WAITING = 2_000  # of large events; what comes while so many wait is not kept, and its call goes on
LONGEST = 32_000  # characters of all texts of a body
MOST_STREAM_BYTES = 4_000_000
MOST_NUMBERS = 16  # of a list, such as a vector
LONGEST_BINARY = 200
MARGIN = 400  # read beyond the cut, so that what is redacted is seen as a whole
CUT = " [cut]"
BINARY = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,100};base64,")
E_MAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
CLOUD_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}")


async def keep_bodies(call: Call, proceed: Proceed) -> Answer:
    """Leave what was sent and answered as an event, if the route keeps it. Nothing of it is told by the call's own."""
    exchange: Exchange = call.context
    days = exchange.route.bodies_days if exchange.route else None
    if days is None:
        return await proceed(call)
    seen = Seen()
    exchange.tee.append(seen)
    try:
        answer = await proceed(call)
        seen.answer = answer.body
        return answer
    except DomainError as error:
        seen.answer = call.refusal(error, call.request_id).body
        raise
    finally:
        call.events.append((STREAM, partial(_event, call, seen, timedelta(days=days))))


@dataclass(slots=True)
class Seen:
    """What the caller was sent: a whole answer, or the pieces of a stream."""

    answer: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0

    def __call__(self, piece: bytes) -> None:
        if self.size < MOST_STREAM_BYTES:
            self.pieces.append(piece)
            self.size += len(piece)


def _event(call: Call, seen: Seen, kept_for: timedelta) -> dict[str, Any]:
    exchange: Exchange = call.context
    answered = datetime.fromtimestamp(call.ended_at or time.time(), UTC)
    return {
        "id": exchange.id,
        "organization_id": call.organization_id,
        "expires_at": answered + kept_for,
        "request": redacted(exchange.body),
        "response": redacted(_answered(exchange, seen)),
    }


def _answered(exchange: Exchange, seen: Seen) -> Any:
    """The answer as its face tells it whole; of a stream that broke off, the text that came."""
    told = b"".join(seen.pieces) or seen.answer
    if not told:
        return None
    with suppress(ValueError):
        return from_json(told)
    try:
        return replaying.assembled(exchange.face, told, exchange.tokens)
    except replaying.Unfinished:
        return {"unfinished": True, "text": _text_of(exchange, told)}


def _text_of(exchange: Exchange, stream: bytes) -> str:
    reading = READINGS[exchange.face]()
    with suppress(Malformed):
        for event in Parser().feed(stream):
            reading.feed(event)
    return reading.text()


def redacted(body: Any) -> str:
    """`body` as JSON, without secrets, e-mail addresses, card numbers, pictures and vectors, cut to `LONGEST`."""
    return "" if body is None else to_json(Redaction().of(body), indent=2).decode()


class Redaction:
    """One body's: what is left of its length goes down as its texts are read."""

    def __init__(self) -> None:
        self._left = LONGEST

    def of(self, value: Any) -> Any:
        if self._left <= 0 and isinstance(value, str | list | Mapping):
            return CUT.strip()
        match value:
            case str():
                return self._text(value)
            case Mapping():
                return {self._text(str(name)): self._member(name, item) for name, item in self._some(value.items())}
            case list():
                return self._list(value)
        self._left -= 4
        return value

    def _member(self, name: Any, item: Any) -> Any:
        return MASK if isinstance(item, str) and item and is_secret_name(name) else self.of(item)

    def _list(self, items: list[Any]) -> Any:
        if len(items) > MOST_NUMBERS and all(isinstance(one, int | float) for one in items):
            return f"[{len(items)} numbers]"
        return [self.of(one) for one in self._some(items)]

    def _some(self, items: Any) -> Any:
        """The items until the length is used up, so that a body of a million small parts is not walked."""
        for item in items:
            yield item
            if self._left <= 0:
                return

    def _text(self, text: str) -> str:
        if binary := _binary(text):
            self._left -= len(binary)
            return binary
        shown = redacted_text(text[: self._left + MARGIN])
        is_cut = len(text) > self._left + MARGIN or len(shown) > self._left
        shown = shown[: max(self._left, 0)]
        self._left -= len(shown) + 2
        return shown + CUT if is_cut else shown


def redacted_text(text: str) -> str:
    """A text without what nobody should find in a record."""
    text = failures.SECRET.sub(MASK, masked_text(text))
    if "@" in text:
        text = E_MAIL.sub("[e-mail address]", text)
    if "PRIVATE KEY" in text:
        text = PRIVATE_KEY.sub("[private key]", text)
    return CARD.sub(_card, CLOUD_KEY.sub(MASK, text))


def _card(found: re.Match[str]) -> str:
    digits = [int(digit) for digit in found[0] if digit.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return "[card number]" if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else found[0]


def _binary(text: str) -> str:
    """A picture or another file in the text, told by its kind and size; empty if it is none."""
    if len(text) <= LONGEST_BINARY:
        return ""
    head = DATA_URL.match(text)
    content = text[head.end() :] if head else text
    if head is None and not BINARY.fullmatch(content):
        return ""
    kind = (head[1] if head else None) or "base64"
    return f"[{kind}, {len(content.rstrip('=')) * 3 // 4} bytes]"
