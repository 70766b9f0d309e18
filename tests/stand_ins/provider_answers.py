"""What providers of models answer, in each of their protocols.

Sources: https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/api/messages,
https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CREATED = 1_760_000_000
VECTOR = (0.25, -0.5, 0.125)

Body = dict[str, Any]


@dataclass(frozen=True)
class Saying:
    """One answer, whatever it is said in. `input` has no cached tokens in it, `output` has the reasoning."""

    words: tuple[str, ...] = ("Good ", "morning", ".")
    tool: tuple[str, Mapping[str, Any]] | None = None
    finish: str = "stop"  # stop, length, filter
    input: int = 11
    cached: int = 4
    output: int = 7
    reasoning: int = 2
    tells_usage: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(self.words)


HELLO = Saying()


def protocol(path: str) -> str:
    """Which protocol a path belongs to; empty for none."""
    path = path.partition("?")[0]
    endings = {
        "/chat/completions": "chat",
        "/completions": "completions",
        "/embeddings": "embeddings",
        "/responses": "responses",
        "/messages": "messages",
        "/messages/count_tokens": "count",
        ":generateContent": "generate",
        ":streamGenerateContent": "generate",
        ":embedContent": "embed",
        ":batchEmbedContents": "embed",
        "/models": "models",
    }
    return next((name for ending, name in endings.items() if path.endswith(ending)), "")


def is_stream(path: str, body: Body) -> bool:
    return ":stream" in path or body.get("stream") is True


def whole(name: str, body: Body, saying: Saying) -> Body:
    return {**WHOLE[name](body, saying), **saying.more}


def events(name: str, body: Body, saying: Saying) -> list[bytes]:
    return list(EVENTS[name](body, saying))


def refusal(name: str, status: int, message: str, kind: str, code: str | None = None) -> Body:
    """An error as the protocol tells it."""
    if name in {"messages", "count"}:
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011CSHoEeqs5C35K"}
    if name in {"generate", "embed"}:
        return {"error": {"code": status, "message": message, "status": kind.upper()}}
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _usage(saying: Saying) -> Body:
    prompt = saying.input + saying.cached
    return {
        "prompt_tokens": prompt,
        "completion_tokens": saying.output,
        "total_tokens": prompt + saying.output,
        "prompt_tokens_details": {"cached_tokens": saying.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": saying.reasoning, "audio_tokens": 0},
    }


def _told(saying: Saying, usage: Callable[[Saying], Body], name: str = "usage") -> Body:
    return {name: usage(saying)} if saying.tells_usage else {}


def _openai_finish(saying: Saying) -> str:
    if saying.tool:
        return "tool_calls"
    return "content_filter" if saying.finish == "filter" else saying.finish


def _call(saying: Saying) -> Body:
    assert saying.tool
    name, arguments = saying.tool
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _chat(body: Body, saying: Saying) -> Body:
    message: Body = {"role": "assistant", "content": None if saying.tool else saying.text, "refusal": None}
    if saying.tool:
        message["tool_calls"] = [_call(saying)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _openai_finish(saying)}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": body["model"]}
    return {**head, "choices": [choice], **_told(saying, _usage)}


def _chat_events(body: Body, saying: Saying) -> Iterator[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": CREATED, "model": body["model"]}

    def chunk(delta: Body, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**head, "choices": [choice]})

    yield chunk({"role": "assistant", "content": None if saying.tool else ""})
    if saying.tool:
        call = _call(saying)
        arguments = call["function"]["arguments"]
        half = len(arguments) // 2
        first = {**call, "index": 0, "function": {"name": saying.tool[0], "arguments": ""}}
        yield chunk({"tool_calls": [first]})
        for part in (arguments[:half], arguments[half:]):
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
    else:
        for word in saying.words:
            yield chunk({"content": word})
    yield chunk({}, _openai_finish(saying))
    if saying.tells_usage and (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": _usage(saying)})
    yield b"data: [DONE]\n\n"


def _completions(body: Body, saying: Saying) -> Body:
    choice = {"index": 0, "text": saying.text, "logprobs": None, "finish_reason": _openai_finish(saying)}
    head = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": body["model"]}
    return {**head, "choices": [choice], **_told(saying, _usage)}


def _completions_events(body: Body, saying: Saying) -> Iterator[bytes]:
    head = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": body["model"]}
    for word in saying.words:
        yield _event({**head, "choices": [{"index": 0, "text": word, "logprobs": None, "finish_reason": None}]})
    yield _event({**head, "choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": saying.finish}]})
    if saying.tells_usage and (body.get("stream_options") or {}).get("include_usage"):
        yield _event({**head, "choices": [], "usage": _usage(saying)})
    yield b"data: [DONE]\n\n"


def _embeddings(body: Body, saying: Saying) -> Body:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vector: Any = list(VECTOR)
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
    usage = {"prompt_tokens": saying.input, "total_tokens": saying.input}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _responses(body: Body, saying: Saying) -> Body:
    return _response(body, saying, "completed", [_response_item(saying)])


def _response(body: Body, saying: Saying, status: str, output: list[Body]) -> Body:
    prompt = saying.input + saying.cached
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": saying.cached},
        "output_tokens": saying.output,
        "output_tokens_details": {"reasoning_tokens": saying.reasoning},
        "total_tokens": prompt + saying.output,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "model": body["model"],
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "usage": usage if status == "completed" and saying.tells_usage else None,
    }


def _response_item(saying: Saying) -> Body:
    if saying.tool:
        function = _call(saying)["function"]
        return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed", **function}
    part = {"type": "output_text", "text": saying.text, "annotations": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}


def _responses_events(body: Body, saying: Saying) -> Iterator[bytes]:
    number = iter(range(1000))

    def event(kind: str, **told: Any) -> bytes:
        return _event({"type": kind, "sequence_number": next(number), **told}, kind)

    item = _response_item(saying)
    place: Body = {"item_id": item["id"], "output_index": 0}
    yield event("response.created", response=_response(body, saying, "in_progress", []))
    empty = {**item, "status": "in_progress"} | ({"arguments": ""} if saying.tool else {"content": []})
    yield event("response.output_item.added", output_index=0, item=empty)
    if saying.tool:
        yield event("response.function_call_arguments.delta", delta=item["arguments"], **place)
        yield event("response.function_call_arguments.done", arguments=item["arguments"], name=item["name"], **place)
    else:
        place["content_index"] = 0
        yield event("response.content_part.added", part={**item["content"][0], "text": ""}, **place)
        for word in saying.words:
            yield event("response.output_text.delta", delta=word, logprobs=[], **place)
        yield event("response.output_text.done", text=saying.text, logprobs=[], **place)
        yield event("response.content_part.done", part=item["content"][0], **place)
    yield event("response.output_item.done", output_index=0, item=item)
    yield event("response.completed", response=_responses(body, saying))


def _anthropic_finish(saying: Saying) -> str:
    if saying.tool:
        return "tool_use"
    return {"stop": "end_turn", "length": "max_tokens", "filter": "refusal"}[saying.finish]


def _anthropic_usage(saying: Saying) -> Body:
    return {
        "input_tokens": saying.input,
        "cache_read_input_tokens": saying.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": saying.output,
    }


def _messages(body: Body, saying: Saying) -> Body:
    block: Body = {"type": "text", "text": saying.text}
    if saying.tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": saying.tool[0], "input": dict(saying.tool[1])}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
    finish = {"stop_reason": _anthropic_finish(saying), "stop_sequence": None}
    return {**head, "content": [block], **finish, "usage": _anthropic_usage(saying)}


def _messages_events(body: Body, saying: Saying) -> Iterator[bytes]:
    def event(kind: str, **told: Any) -> bytes:
        return _event({"type": kind, **told}, kind)

    begun = _messages(body, saying)
    begun.update(content=[], stop_reason=None, usage={**_anthropic_usage(saying), "output_tokens": 1})
    yield event("message_start", message=begun)
    if saying.tool:
        block = {"type": "tool_use", "id": "toolu_1", "name": saying.tool[0], "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(saying.tool[1])}]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": word} for word in saying.words]
    yield event("content_block_start", index=0, content_block=block)
    yield event("ping")
    for delta in deltas:
        yield event("content_block_delta", index=0, delta=delta)
    yield event("content_block_stop", index=0)
    finish = {"stop_reason": _anthropic_finish(saying), "stop_sequence": None}
    yield event("message_delta", delta=finish, usage={"output_tokens": saying.output})
    yield event("message_stop")


def _count(body: Body, saying: Saying) -> Body:
    return {"input_tokens": saying.input + saying.cached}


def _gemini_usage(saying: Saying) -> Body:
    prompt = saying.input + saying.cached
    return {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": saying.cached,
        "candidatesTokenCount": saying.output - saying.reasoning,
        "thoughtsTokenCount": saying.reasoning,
        "totalTokenCount": prompt + saying.output,
    }


def _candidate(parts: list[Body], finish: str | None) -> Body:
    candidate: Body = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = {"stop": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}[finish]
    return {"candidates": [candidate], "modelVersion": "gemini-stand-in", "responseId": "r1"}


def _gemini_parts(saying: Saying) -> list[Body]:
    if saying.tool:
        return [{"functionCall": {"name": saying.tool[0], "args": dict(saying.tool[1])}}]
    return [{"text": word} for word in saying.words]


def _generate(body: Body, saying: Saying) -> Body:
    return {**_candidate(_gemini_parts(saying), saying.finish), **_told(saying, _gemini_usage, "usageMetadata")}


def _generate_events(body: Body, saying: Saying) -> Iterator[bytes]:
    parts = _gemini_parts(saying)
    for number, part in enumerate(parts):
        finish = saying.finish if number == len(parts) - 1 else None
        yield _event({**_candidate([part], finish), **_told(saying, _gemini_usage, "usageMetadata")})


def _embed(body: Body, saying: Saying) -> Body:
    if "requests" in body:
        return {"embeddings": [{"values": list(VECTOR)} for _ in body["requests"]]}
    return {"embedding": {"values": list(VECTOR)}}


def _models(body: Body, saying: Saying) -> Body:
    return {"object": "list", "data": [{"id": "m-1", "object": "model", "created": CREATED, "owned_by": "stand-in"}]}


def _event(data: Body, name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


WHOLE: Mapping[str, Callable[[Body, Saying], Body]] = {
    "chat": _chat,
    "completions": _completions,
    "embeddings": _embeddings,
    "responses": _responses,
    "messages": _messages,
    "count": _count,
    "generate": _generate,
    "embed": _embed,
    "models": _models,
}
EVENTS: Mapping[str, Callable[[Body, Saying], Iterator[bytes]]] = {
    "chat": _chat_events,
    "completions": _completions_events,
    "responses": _responses_events,
    "messages": _messages_events,
    "generate": _generate_events,
}
