"""Anthropic's messages: said to their provider for callers of chat, and answered to their callers from chat.

Source: https://docs.anthropic.com/en/api/messages. Imports no Django.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from apps.gateway.dialects import chat, sse, tokens
from apps.gateway.dialects.chat import Body
from apps.gateway.dialects.errors import untranslatable
from apps.gateway.dialects.readings import mapping, objects
from apps.gateway.dialects.tokens import Tokens

USUAL_MOST_TOKENS = 4096  # they require a limit, callers of chat need not name one
CHAT_KNOWN = frozenset(
    {
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
    }
)
MESSAGES_KNOWN = frozenset(
    {
        "messages",
        "system",
        "max_tokens",
        "temperature",
        "top_p",
        "stop_sequences",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
    }
)
FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
CHOICES = {"auto": "auto", "required": "any", "none": "none"}


class MessagesDialect:
    def request(self, body: Mapping[str, Any], model: str) -> Body:
        chat.check(body, CHAT_KNOWN)
        told: Body = {"model": model, "max_tokens": chat.most_tokens(body) or USUAL_MOST_TOKENS}
        system, told["messages"] = _messages(objects(body.get("messages")))
        if system:
            told["system"] = system
        if stops := chat.stops_of(body):
            told["stop_sequences"] = stops
        told.update((name, body[name]) for name in ("temperature", "top_p") if body.get(name) is not None)
        if told.get("temperature", 0) > 1:
            raise untranslatable("temperature", "it takes at most 1")
        told.update(_tools(body))
        if output := _output(body):
            told["output_config"] = output
        if body.get("stream") is True:
            told["stream"] = True
        return told

    def answer(self, body: Mapping[str, Any]) -> Body:
        blocks = objects(body.get("content"))
        text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
        used = [block for block in blocks if block.get("type") == "tool_use"]
        calls = [chat.called(block["name"], block.get("input") or {}, block.get("id", "")) for block in used]
        finish = FINISHES.get(str(body.get("stop_reason")), "stop")
        return chat.completion(
            body.get("model"), [chat.choice(text, calls, finish)], tokens.of_anthropic(body.get("usage"))
        )

    def chunks(self) -> MessagesChunks:
        return MessagesChunks()


class MessagesChunks:
    """Chunks of chat from events of messages."""

    def __init__(self) -> None:
        self._chunks = chat.Chunks()
        self._calls: dict[Any, int] = {}
        self._usage: Body = {}

    def feed(self, told: Mapping[str, Any]) -> list[Body]:
        match told.get("type"):
            case "message_start":
                message = mapping(told.get("message"))
                self._chunks.head["model"] = message.get("model") or ""
                self._count(message)
                return [self._chunks.delta({"role": "assistant", "content": ""})]
            case "content_block_start":
                return self._begin(told.get("index"), mapping(told.get("content_block")))
            case "content_block_delta":
                return self._go_on(told.get("index"), mapping(told.get("delta")))
            case "message_delta":
                self._count(told)
                reason = mapping(told.get("delta")).get("stop_reason")
                return [self._chunks.delta({}, FINISHES.get(str(reason), "stop"))] if reason else []
        return []

    def end(self) -> list[Body]:
        counted = tokens.of_anthropic(self._usage)
        return [self._chunks.usage(counted)] if counted else []

    def _count(self, told: Mapping[str, Any]) -> None:
        counts = mapping(told.get("usage"))
        self._usage.update((name, count) for name, count in counts.items() if count is not None)

    def _begin(self, place: Any, block: Mapping[str, Any]) -> list[Body]:
        if block.get("type") == "tool_use":
            number = self._calls[place] = len(self._calls)
            call = {"index": number, **chat.called(block["name"], "", block.get("id", ""))}
            return [self._chunks.delta({"tool_calls": [call]})]
        return [self._chunks.delta({"content": block["text"]})] if block.get("text") else []

    def _go_on(self, place: Any, delta: Mapping[str, Any]) -> list[Body]:
        if delta.get("type") == "text_delta":
            return [self._chunks.delta({"content": delta.get("text", "")})]
        if delta.get("type") == "input_json_delta" and place in self._calls:
            function = {"arguments": delta.get("partial_json", "")}
            return [self._chunks.delta({"tool_calls": [{"index": self._calls[place], "function": function}]})]
        return []


def _messages(said: list[Mapping[str, Any]]) -> tuple[list[Body], list[Body]]:
    """System blocks and messages; what one side says in a row is one message."""
    system: list[Body] = []
    told: list[Body] = []
    for message in said:
        role = message.get("role")
        if role in {"system", "developer"}:
            text = chat.text_of(message.get("content"))
            system += [{"type": "text", "text": text}] if text else []
            continue
        side = "assistant" if role == "assistant" else "user"
        blocks = _blocks(message)
        if told and told[-1]["role"] == side:
            told[-1]["content"] += blocks
        else:
            told.append({"role": side, "content": blocks})
    return system, [message for message in told if message["content"]]


def _blocks(message: Mapping[str, Any]) -> list[Body]:
    content = message.get("content")
    match message.get("role"):
        case "tool":
            text = chat.text_of(content)
            return [{"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": text}]
        case "user":
            return [_block(part) for part in chat.parts_of(content)]
        case "assistant":
            text = chat.text_of(content)
            said: list[Body] = [{"type": "text", "text": text}] if text else []
            calls = objects(message.get("tool_calls"))
            return said + [
                {
                    "type": "tool_use",
                    "id": call.get("id"),
                    "name": mapping(call.get("function")).get("name"),
                    "input": chat.arguments_of(call),
                }
                for call in calls
            ]
    raise untranslatable("messages", f"it knows no role `{message.get('role')}`")


def _block(part: Mapping[str, Any]) -> Body:
    if part.get("type") == "text":
        return {"type": "text", "text": part.get("text", "")}
    if part.get("type") == "image_url":
        url = chat.image_url(part)
        if inline := chat.data_url(url):
            return {"type": "image", "source": {"type": "base64", "media_type": inline[0], "data": inline[1]}}
        return {"type": "image", "source": {"type": "url", "url": url}}
    raise untranslatable("messages", f"it takes no part of type `{part.get('type')}`")


def _tools(body: Mapping[str, Any]) -> Body:
    tools = [
        {
            "name": function.get("name"),
            "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
            **{name: function[name] for name in ("description", "strict") if function.get(name) is not None},
        }
        for function in chat.functions_of(body)
    ]
    if not tools:
        return {}
    asked = body.get("tool_choice") or "auto"
    if isinstance(asked, str):
        choice: Body = {"type": CHOICES.get(asked, "auto")}
    elif name := mapping(mapping(asked).get("function")).get("name"):
        choice = {"type": "tool", "name": name}
    else:
        raise untranslatable("tool_choice")
    if body.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": tools, "tool_choice": choice}


def _output(body: Mapping[str, Any]) -> Body:
    told: Body = {}
    if (schema := chat.schema_of(body)) is not None:
        told["format"] = {"type": "json_schema", "schema": schema}
    elif mapping(body.get("response_format")).get("type") == "json_object":
        raise untranslatable("response_format", "it answers in JSON only by a schema")
    effort = body.get("reasoning_effort")
    if effort and effort != "none":
        told["effort"] = EFFORTS.get(effort, "high")
    return told


class MessagesFace:
    def request(self, body: Mapping[str, Any]) -> Body:
        chat.check(body, MESSAGES_KNOWN)
        told: Body = {"messages": []}
        if system := chat.text_of(body.get("system"), "system"):
            told["messages"].append({"role": "system", "content": system})
        for message in objects(body.get("messages")):
            told["messages"] += _said(message)
        told.update((name, body[name]) for name in ("temperature", "top_p", "stream") if body.get(name) is not None)
        if body.get("max_tokens"):
            told["max_completion_tokens"] = body["max_tokens"]
        if body.get("stop_sequences"):
            told["stop"] = body["stop_sequences"]
        told.update(_functions(body))
        told.update(_asked_output(body))
        return told

    def answer(self, body: Body) -> Body:
        first = next(iter(objects(body.get("choices"))), {})
        message = mapping(first.get("message"))
        content: list[Body] = [{"type": "text", "text": message["content"]}] if message.get("content") else []
        for call in objects(message.get("tool_calls")):
            name = mapping(call.get("function")).get("name")
            content.append({"type": "tool_use", "id": call.get("id"), "name": name, "input": chat.arguments_of(call)})
        told = _begun(body.get("model"))
        reason = STOP_REASONS.get(str(first.get("finish_reason")), "end_turn")
        return {**told, "content": content, "stop_reason": reason, "usage": _usage(tokens.of_openai(body.get("usage")))}

    def stream(self, body: Mapping[str, Any]) -> MessagesStream:
        return MessagesStream()


class MessagesStream:
    """Events of messages from chunks of chat."""

    def __init__(self) -> None:
        self._is_begun = False
        self._place = -1
        self._open: Any = None
        self._reason = "end_turn"
        self._tokens: Tokens | None = None

    def feed(self, chunk: Mapping[str, Any]) -> list[bytes]:
        found = [] if self._is_begun else self._begin(chunk)
        self._tokens = tokens.of_openai(chunk.get("usage")) or self._tokens
        for choice in objects(chunk.get("choices")):
            delta = mapping(choice.get("delta"))
            if delta.get("content"):
                found += self._opened("text", {"type": "text", "text": ""})
                found.append(self._delta({"type": "text_delta", "text": delta["content"]}))
            for call in objects(delta.get("tool_calls")):
                found += self._call(call)
            if reason := choice.get("finish_reason"):
                self._reason = STOP_REASONS.get(reason, "end_turn")
        return found

    def end(self) -> list[bytes]:
        found = ([] if self._is_begun else self._begin({})) + self._closed()
        delta = {"stop_reason": self._reason, "stop_sequence": None}
        found.append(_event("message_delta", delta=delta, usage=_usage(self._tokens)))
        return [*found, _event("message_stop")]

    def _begin(self, chunk: Mapping[str, Any]) -> list[bytes]:
        self._is_begun = True
        return [_event("message_start", message=_begun(chunk.get("model")))]

    def _call(self, call: Mapping[str, Any]) -> list[bytes]:
        function = mapping(call.get("function"))
        block: Body = {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": {}}
        found = self._opened(("tool", call.get("index")), block)
        if function.get("arguments"):
            found.append(self._delta({"type": "input_json_delta", "partial_json": function["arguments"]}))
        return found

    def _opened(self, what: Any, block: Body) -> list[bytes]:
        if self._open == what:
            return []
        found = self._closed()
        self._open, self._place = what, self._place + 1
        return [*found, _event("content_block_start", index=self._place, content_block=block)]

    def _closed(self) -> list[bytes]:
        was, self._open = self._open, None
        return [] if was is None else [_event("content_block_stop", index=self._place)]

    def _delta(self, delta: Body) -> bytes:
        return _event("content_block_delta", index=self._place, delta=delta)


def _event(kind: str, **told: Any) -> bytes:
    return sse.event(to_json({"type": kind, **told}), kind).raw


def _begun(model: Any) -> Body:
    head: Body = {"id": chat.new_id("msg_"), "type": "message", "role": "assistant", "model": model or ""}
    return {**head, "content": [], "stop_reason": None, "stop_sequence": None, "usage": _usage(None)}


def _usage(counted: Tokens | None) -> Body:
    counted = counted or Tokens()
    return {
        "input_tokens": counted.input,
        "cache_read_input_tokens": counted.cached,
        "cache_creation_input_tokens": counted.cache_write,
        "output_tokens": counted.output,
    }


def _said(message: Mapping[str, Any]) -> list[Body]:
    """A message as chat has it: results of tools are messages of their own."""
    blocks = chat.parts_of(message.get("content"))
    if message.get("role") == "assistant":
        # What a model thought before is not needed by another one.
        text = "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
        used = [block for block in blocks if block.get("type") == "tool_use"]
        calls = [chat.called(block["name"], block.get("input") or {}, block.get("id", "")) for block in used]
        return [{"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}]
    results = [
        {
            "role": "tool",
            "tool_call_id": block.get("tool_use_id"),
            "content": chat.text_of(block.get("content"), "tool_result"),
        }
        for block in blocks
        if block.get("type") == "tool_result"
    ]
    parts = [_part(block) for block in blocks if block.get("type") != "tool_result"]
    return results + ([{"role": "user", "content": parts}] if parts else [])


def _part(block: Mapping[str, Any]) -> Body:
    if block.get("type") == "text":
        return {"type": "text", "text": block.get("text", "")}
    source = mapping(block.get("source"))
    if block.get("type") == "image" and source.get("type") in {"base64", "url"}:
        url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": url}}
    raise untranslatable("messages", f"it takes no block of type `{block.get('type')}`")


def _functions(body: Mapping[str, Any]) -> Body:
    tools = []
    for tool in objects(body.get("tools")):
        if tool.get("type", "custom") != "custom":
            raise untranslatable("tools", f"it has no tool `{tool.get('type')}`")
        function = {"name": tool.get("name"), "parameters": tool.get("input_schema")}
        function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
        tools.append({"type": "function", "function": function})
    if not tools:
        return {}
    told: Body = {"tools": tools}
    asked = mapping(body.get("tool_choice"))
    match asked.get("type"):
        case "any":
            told["tool_choice"] = "required"
        case "none":
            told["tool_choice"] = "none"
        case "tool":
            told["tool_choice"] = {"type": "function", "function": {"name": asked.get("name")}}
    if asked.get("disable_parallel_tool_use"):
        told["parallel_tool_calls"] = False
    return told


def _asked_output(body: Mapping[str, Any]) -> Body:
    output, thinking = mapping(body.get("output_config")), mapping(body.get("thinking"))
    told: Body = {}
    if schema := mapping(output.get("format")).get("schema"):
        told["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    if effort := output.get("effort"):
        told["reasoning_effort"] = "high" if effort in {"xhigh", "max"} else effort
    elif thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens") or 0
        told["reasoning_effort"] = "low" if budget <= 2048 else "medium" if budget <= 12_000 else "high"
    return told
