"""Tokens that no provider has told: of a request before it is sent, and of an answer without usage. Imports no Django.

What is counted here is an estimate and marked as one. The vocabularies ship with the tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import splintr

from apps.gateway.dialects.tokens import Tokens
from apps.gateway.exchange import Exchange

LONGEST_COUNTED = 40_000  # characters; of longer texts a part is counted and stands for the rest
IMAGE_TOKENS = 765  # a picture of 1024 x 1024 in high detail, as OpenAI documents it
MESSAGE_TOKENS = 4  # what separates messages
# By how a model's name begins; everything else is counted like newer ones of OpenAI.
VOCABULARIES = {
    "gpt-3.5": "cl100k_base",
    "gpt-4-": "cl100k_base",
    "text-embedding": "cl100k_base",
    "llama": "llama3",
    "meta-llama": "llama3",
    "deepseek": "deepseek_v3",
}
NEWEST = "o200k_base"


def count_text(text: str, model: str = "") -> int:
    """Roughly the tokens of `text`; exactly those of the model's vocabulary if that is known and the text not long."""
    part = text[:LONGEST_COUNTED]
    if not part:
        return 0
    counted = len(_vocabulary(_name(model)).encode(part))
    return counted if len(part) == len(text) else round(counted * len(text) / len(part))


def count_request(body: Mapping[str, Any], raw_bytes: int) -> int:
    """Roughly the tokens of a request, quickly: by its bytes, without those of pictures."""
    pictures = list(_pictures(body))
    rest = max(raw_bytes - sum(pictures), 0)
    return rest // 4 + len(pictures) * IMAGE_TOKENS


def estimated(exchange: Exchange, text: str) -> Tokens:
    """The tokens of an answered call whose provider told none."""
    model = exchange.target.model if exchange.target else ""
    asked = "".join(_texts(exchange.body))
    messages = exchange.body.get("messages")
    separators = MESSAGE_TOKENS * len(messages) if isinstance(messages, list) else 0
    pictures = len(list(_pictures(exchange.body))) * IMAGE_TOKENS
    whole = count_text(asked, model) + separators + pictures
    return Tokens(input=whole, output=count_text(text, model), is_estimated=True)


def _texts(told: Any) -> Iterable[str]:
    """What is said in a request of any face, tools included."""
    if isinstance(told, str):
        yield told
    elif isinstance(told, list):
        for one in told:
            yield from _texts(one)
    elif isinstance(told, dict):
        for name in ("system", "instructions", "messages", "prompt", "input", "content", "text", "tools", "function"):
            if name in told:
                yield from _texts(told[name])
        for name in ("name", "description", "arguments"):
            if isinstance(told.get(name), str):
                yield told[name]


def _pictures(told: Any) -> Iterable[int]:
    """The bytes of each picture in the request's messages; of one that is only named, none."""
    messages = told.get("messages") or told.get("input")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") in {"image_url", "image", "input_image"}:
                yield max((len(text) for text in _strings(part)), default=0)


def _strings(told: Any) -> Iterable[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, dict):
        for value in told.values():
            yield from _strings(value)


def _name(model: str) -> str:
    return next((name for start, name in VOCABULARIES.items() if model.startswith(start)), NEWEST)


@cache
def _vocabulary(name: str) -> Any:
    """Tens of megabytes each, so that one is loaded when it is first needed."""
    return splintr.Tokenizer.from_pretrained(name)
