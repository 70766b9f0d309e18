"""OpenAI's responses, answered from chat where an upstream knows only that. Nothing of them is kept.

Source: https://platform.openai.com/docs/api-reference/responses. Imports no Django.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from apps.gateway.dialects import chat, sse, tokens
from apps.gateway.dialects.chat import Body
from apps.gateway.dialects.errors import untranslatable
from apps.gateway.dialects.readings import mapping, objects
from apps.gateway.dialects.tokens import Tokens

SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_completion_tokens",
    "parallel_tool_calls": "parallel_tool_calls",
    "stream": "stream",
}
# `include` asks for what chat does not have; without it the answer is no less.
KNOWN = frozenset({*SETTINGS, "input", "instructions", "tools", "tool_choice", "text", "reasoning", "include"})
SILENT = {"truncation": "disabled", "background": False}
TEXTS = frozenset({"input_text", "output_text", "text"})


class ResponsesFace:
    def request(self, body: Mapping[str, Any]) -> Body:
        chat.check({name: value for name, value in body.items() if SILENT.get(name) != value}, KNOWN)
        told: Body = {theirs: body[name] for name, theirs in SETTINGS.items() if body.get(name) is not None}
        told["messages"] = _messages(body)
        told.update(_tools(body))
        if response_format := _format(mapping(mapping(body.get("text")).get("format"))):
            told["response_format"] = response_format
        if effort := mapping(body.get("reasoning")).get("effort"):
            told["reasoning_effort"] = effort
        return told

    def answer(self, body: Body) -> Body:
        first = next(iter(objects(body.get("choices"))), {})
        message = mapping(first.get("message"))
        items = [_message(chat.new_id("msg_"), message["content"])] if message.get("content") else []
        items += [_call(chat.new_id("fc_"), call) for call in objects(message.get("tool_calls"))]
        counted = tokens.of_openai(body.get("usage"))
        return _finished(_begun(body.get("model")), items, first.get("finish_reason"), counted)

    def stream(self, body: Mapping[str, Any]) -> ResponsesStream:
        return ResponsesStream()


class ResponsesStream:
    """Events of responses from chunks of chat."""

    def __init__(self) -> None:
        self._response: Body = {}
        self._number = 0
        self._items: list[Body] = []
        self._open: Any = None
        self._said: list[str] = []
        self._finish: Any = None
        self._tokens: Tokens | None = None

    def feed(self, chunk: Mapping[str, Any]) -> list[bytes]:
        found = [] if self._response else self._begin(chunk)
        self._tokens = tokens.of_openai(chunk.get("usage")) or self._tokens
        for choice in objects(chunk.get("choices")):
            delta = mapping(choice.get("delta"))
            if delta.get("content"):
                found += self._text(delta["content"])
            for call in objects(delta.get("tool_calls")):
                found += self._arguments(call)
            self._finish = choice.get("finish_reason") or self._finish
        return found

    def end(self) -> list[bytes]:
        found = ([] if self._response else self._begin({})) + self._closed()
        response = _finished(self._response, self._items, self._finish, self._tokens)
        return [*found, self._event(f"response.{response['status']}", response=response)]

    def _begin(self, chunk: Mapping[str, Any]) -> list[bytes]:
        self._response = _begun(chunk.get("model"))
        return [self._event("response.created", response=self._response)]

    def _text(self, text: str) -> list[bytes]:
        found = []
        if self._open != "text":
            item = {**_message(chat.new_id("msg_"), ""), "status": "in_progress", "content": []}
            found = self._opened("text", item)
            part = {"type": "output_text", "text": "", "annotations": []}
            found.append(self._event("response.content_part.added", part=part, **self._place()))
        self._said.append(text)
        return [*found, self._event("response.output_text.delta", delta=text, logprobs=[], **self._place())]

    def _arguments(self, call: Mapping[str, Any]) -> list[bytes]:
        what = ("tool", call.get("index"))
        piece = mapping(call.get("function")).get("arguments") or ""
        found = []
        if self._open != what:
            item = {**_call(chat.new_id("fc_"), call), "status": "in_progress", "arguments": ""}
            found = self._opened(what, item)
        if piece:
            self._said.append(piece)
            found.append(self._event("response.function_call_arguments.delta", delta=piece, **self._place()))
        return found

    def _opened(self, what: Any, item: Body) -> list[bytes]:
        found = self._closed()
        self._open = what
        self._items.append(item)
        added = self._event("response.output_item.added", output_index=len(self._items) - 1, item=item)
        return [*found, added]

    def _closed(self) -> list[bytes]:
        if self._open is None:
            return []
        said, item = "".join(self._said), self._items[-1]
        if self._open == "text":
            done = _message(item["id"], said)
            part = done["content"][0]
            found = [
                self._event("response.output_text.done", text=said, logprobs=[], **self._place()),
                self._event("response.content_part.done", part=part, **self._place()),
            ]
        else:
            done = {**item, "arguments": said, "status": "completed"}
            told = {"arguments": said, "name": item["name"], **self._place()}
            found = [self._event("response.function_call_arguments.done", **told)]
        self._items[-1], self._open, self._said = done, None, []
        return [*found, self._event("response.output_item.done", output_index=len(self._items) - 1, item=done)]

    def _place(self) -> Body:
        place = {"item_id": self._items[-1]["id"], "output_index": len(self._items) - 1}
        return {**place, "content_index": 0} if self._open == "text" else place

    def _event(self, kind: str, **told: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return sse.event(to_json({"type": kind, "sequence_number": number, **told}), kind).raw


def _begun(model: Any) -> Body:
    return {
        "id": chat.new_id("resp_"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model or "",
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "store": False,
        "usage": None,
    }


def _finished(response: Body, items: list[Body], finish: Any, counted: Tokens | None) -> Body:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(str(finish))
    return {
        **response,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": items,
        "usage": _usage(counted) if counted else None,
    }


def _usage(counted: Tokens) -> Body:
    prompt = counted.input + counted.cached + counted.cache_write
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": counted.cached, "cache_write_tokens": counted.cache_write},
        "output_tokens": counted.output,
        "output_tokens_details": {"reasoning_tokens": counted.reasoning},
        "total_tokens": prompt + counted.output,
    }


def _message(item_id: str, text: str) -> Body:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": item_id, "status": "completed", "role": "assistant", "content": [part]}


def _call(item_id: str, call: Mapping[str, Any]) -> Body:
    function = mapping(call.get("function"))
    told = {"name": function.get("name") or "", "arguments": function.get("arguments") or ""}
    return {"type": "function_call", "id": item_id, "call_id": call.get("id") or "", "status": "completed", **told}


def _messages(body: Mapping[str, Any]) -> list[Body]:
    told: list[Body] = []
    if body.get("instructions"):
        told.append({"role": "system", "content": chat.text_of(body["instructions"], "instructions")})
    asked = body.get("input")
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else objects(asked)
    for item in items:
        _add(told, item)
    return told


def _add(told: list[Body], item: Mapping[str, Any]) -> None:
    match item.get("type", "message"):
        case "message":
            told.append({"role": item.get("role"), "content": _content(item)})
        case "function_call":
            call = chat.called(item.get("name", ""), item.get("arguments") or "{}", item.get("call_id", ""))
            if not told or told[-1]["role"] != "assistant":
                told.append({"role": "assistant", "content": None})
            told[-1].setdefault("tool_calls", []).append(call)
        case "function_call_output":
            output = chat.text_of(item.get("output"), "output")
            told.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": output})
        case "reasoning":
            pass  # what a model thought before is not needed by another one
        case kind:
            raise untranslatable("input", f"it takes no item of type `{kind}`")


def _content(item: Mapping[str, Any]) -> Any:
    content = item.get("content")
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in objects(content)]
    return parts if item.get("role") == "user" else "".join(chat.text_of([part]) for part in parts)


def _part(part: Mapping[str, Any]) -> Body:
    if part.get("type") in TEXTS:
        return {"type": "text", "text": part.get("text", "")}
    if part.get("type") == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    raise untranslatable("input", f"it takes no part of type `{part.get('type')}`")


def _tools(body: Mapping[str, Any]) -> Body:
    tools = []
    for tool in objects(body.get("tools")):
        if tool.get("type") != "function":
            raise untranslatable("tools", f"it has no tool `{tool.get('type')}`")
        told = {
            name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None
        }
        tools.append({"type": "function", "function": told})
    if not tools:
        return {}
    asked = body.get("tool_choice") or "auto"
    if isinstance(asked, dict):
        if asked.get("type") != "function":
            raise untranslatable("tool_choice")
        asked = {"type": "function", "function": {"name": asked.get("name")}}
    return {"tools": tools, "tool_choice": asked}


def _format(told: Mapping[str, Any]) -> Body:
    if told.get("type") == "json_schema":
        schema = {
            name: told[name] for name in ("name", "schema", "strict", "description") if told.get(name) is not None
        }
        return {"type": "json_schema", "json_schema": schema}
    return {"type": "json_object"} if told.get("type") == "json_object" else {}
