"""Chat as the language between all others: reading its requests, making its answers. Imports no Django.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from apps.gateway.dialects import sse
from apps.gateway.dialects.errors import untranslatable
from apps.gateway.dialects.readings import mapping, objects
from apps.gateway.dialects.tokens import Tokens

Body = dict[str, Any]

# Hints that change nothing of what is answered.
HARMLESS = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "user",
        "metadata",
        "store",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "prediction",
    }
)
# What says no more than silence does.
NEUTRAL: Body = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "modalities": ["text"],
    "tool_choice": "auto",
    "tools": [],
    "response_format": {"type": "text"},
    "parallel_tool_calls": True,
}


def check(body: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse by name what is neither known nor harmless."""
    for name, value in body.items():
        if value is None or name in known or name in HARMLESS:
            continue
        if name not in NEUTRAL or NEUTRAL[name] != value:
            raise untranslatable(name)


def text_of(content: Any, name: str = "content") -> str:
    """The text of a message that may hold nothing else."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = objects(content)
    if any(not isinstance(part.get("text"), str) for part in parts):
        raise untranslatable(name, "only text can stand here")
    return "".join(part["text"] for part in parts)


def parts_of(content: Any) -> list[Mapping[str, Any]]:
    """A message's parts; a text is one."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return objects(content)


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 of a data URL, or None for a link."""
    if not url.startswith("data:"):
        return None
    head, _, data = url[5:].partition(",")
    if not head.endswith(";base64"):
        raise untranslatable("image_url", "a data URL has to be in base64")
    return head.removesuffix(";base64"), data


def image_url(part: Mapping[str, Any]) -> str:
    url = mapping(part.get("image_url")).get("url")
    if not isinstance(url, str):
        raise untranslatable("image_url", "it has no URL")
    return url


def arguments_of(call: Mapping[str, Any]) -> Body:
    """A called tool's arguments as the object that they should be."""
    try:
        told = from_json(mapping(call.get("function")).get("arguments") or "{}")
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise untranslatable("tool_calls", "the arguments are no JSON object")
    return told


def functions_of(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for tool in objects(body.get("tools")):
        if tool.get("type") != "function":
            raise untranslatable("tools", f"only functions can be, not `{tool.get('type')}`")
        yield mapping(tool.get("function"))


def schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON schema that an answer is to follow."""
    told = mapping(body.get("response_format"))
    return mapping(mapping(told.get("json_schema")).get("schema")) if told.get("type") == "json_schema" else None


def most_tokens(body: Mapping[str, Any]) -> int | None:
    return body.get("max_completion_tokens") or body.get("max_tokens")


def stops_of(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop")
    return [stop] if isinstance(stop, str) else list(stop or ())


def new_id(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex}"


def called(name: str, arguments: Any, call_id: str = "") -> Body:
    """One call of a tool; `arguments` are a JSON text or an object."""
    told = arguments if isinstance(arguments, str) else to_json(arguments).decode()
    return {"id": call_id or new_id("call_"), "type": "function", "function": {"name": name, "arguments": told}}


def usage(tokens: Tokens) -> Body:
    prompt = tokens.input + tokens.cached + tokens.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens.output,
        "total_tokens": prompt + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": tokens.cache_write},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def choice(text: str, calls: list[Body], finish: str, index: int = 0) -> Body:
    message: Body = {"role": "assistant", "content": text or (None if calls else ""), "refusal": None}
    if calls:
        message["tool_calls"] = calls
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


def completion(model: Any, choices: list[Body], tokens: Tokens | None) -> Body:
    head = {"id": new_id("chatcmpl-"), "object": "chat.completion", "created": int(time.time()), "model": model or ""}
    return {**head, "choices": choices, **({"usage": usage(tokens)} if tokens else {})}


class Chunks:
    """Makes the chunks of one streamed answer."""

    def __init__(self) -> None:
        self.head: Body = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": int(time.time())}
        self.head["model"] = ""

    def delta(self, told: Body, finish: str | None = None, index: int = 0) -> Body:
        return {
            **self.head,
            "choices": [{"index": index, "delta": told, "logprobs": None, "finish_reason": finish}],
        }

    def usage(self, tokens: Tokens) -> Body:
        return {**self.head, "choices": [], "usage": usage(tokens)}


class ChatFace:
    """What callers of chat are told."""

    def request(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return body

    def answer(self, body: Body) -> Body:
        return body

    def stream(self, body: Mapping[str, Any]) -> ChatStream:
        return ChatStream(tells_usage=bool(mapping(body.get("stream_options")).get("include_usage")))


class ChatStream:
    def __init__(self, *, tells_usage: bool) -> None:
        self._tells_usage = tells_usage

    def feed(self, chunk: Mapping[str, Any]) -> list[bytes]:
        if not chunk.get("choices") and not self._tells_usage:
            return []
        return [sse.event(to_json(chunk)).raw]

    def end(self) -> list[bytes]:
        return [sse.event(sse.DONE).raw]


class ChatDialect:
    """Chat as upstreams speak it."""

    def request(self, chat: Mapping[str, Any], model: str) -> Body:
        told = {**chat, "model": model}
        if chat.get("stream") is True:
            told["stream_options"] = {"include_usage": True}
        return told

    def answer(self, body: Mapping[str, Any]) -> Body:
        return dict(body)

    def chunks(self) -> ChatChunks:
        return ChatChunks()


class ChatChunks:
    def feed(self, told: Mapping[str, Any]) -> list[Body]:
        return [dict(told)]

    def end(self) -> list[Body]:
        return []
