"""A stored answer in the form that its next caller wants: whole, or as the events of a stream. Imports no Django.

Answers are stored whole, as `assembled` from the events where they were streamed. Sources:
https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/docs/build-with-claude/streaming.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from apps.gateway.dialects.sse import Event, Parser, event
from apps.gateway.dialects.tokens import Tokens
from apps.gateway.enums import Face

Json = dict[str, Any]


class Unfinished(Exception):
    """What was streamed is not a whole answer."""


def assembled(face: Face, stream: bytes, tokens: Tokens | None) -> Json:
    """The whole answer that a stream told. Raises Unfinished."""
    found = Parser().feed(stream)
    try:
        match face:
            case Face.CHAT | Face.COMPLETIONS:
                return _assembled_chunks(found, tokens)
            case Face.MESSAGES:
                return _assembled_message(found)
            case Face.RESPONSES:
                return _assembled_response(found)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Unfinished(repr(error)) from None
    raise Unfinished(f"{face} does not stream")


def is_whole(face: Face, answer: Mapping[str, Any]) -> bool:
    """Whether an answer says that it ended, and not because something was filtered or failed."""
    match face:
        case Face.CHAT | Face.COMPLETIONS:
            ends = {one.get("finish_reason") for one in answer.get("choices") or [{}]}
            return ends <= {"stop", "length", "tool_calls", "function_call"}
        case Face.MESSAGES:
            return answer.get("stop_reason") in {"end_turn", "max_tokens", "stop_sequence", "tool_use"}
        case Face.RESPONSES:
            return answer.get("status") == "completed"
    return face == Face.EMBEDDINGS and bool(answer.get("data"))


def events(face: Face, answer: Json, asked: Mapping[str, Any]) -> bytes:
    """The stream that would have told this answer to a request that asked for one."""
    match face:
        case Face.MESSAGES:
            told = _message_events(answer)
        case Face.RESPONSES:
            told = _response_events(answer)
        case _:
            tells_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
            told = _chunk_events(face, answer, tells_usage=tells_usage)
    return b"".join(one.raw for one in told)


def _assembled_chunks(found: list[Event], tokens: Tokens | None) -> Json:
    if not found or not found[-1].is_done:
        raise Unfinished("the end is missing")
    chunks = [from_json(one.data) for one in found[:-1] if one.data]
    answer: Json = {name: value for name, value in chunks[0].items() if name not in {"choices", "usage"}}
    answer["object"] = str(answer.get("object", "")).removesuffix(".chunk")
    choices: dict[int, Json] = {}
    for chunk in chunks:
        for told in chunk.get("choices") or ():
            choice = choices.setdefault(told["index"], {"index": told["index"], "finish_reason": None})
            _add_choice(choice, told)
        if chunk.get("usage"):
            answer["usage"] = chunk["usage"]
    if "usage" not in answer and tokens is not None:
        answer["usage"] = _usage(tokens)
    return {**answer, "choices": [choices[index] for index in sorted(choices)]}


def _add_choice(choice: Json, told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        if name == "delta":
            message = choice.setdefault("message", {"role": "assistant", "content": None})
            calls = value.get("tool_calls")
            _add(message, {key: part for key, part in value.items() if key not in {"role", "tool_calls"}})
            _add_calls(message, calls or ())
        elif name == "text":
            choice["text"] = choice.get("text", "") + value
        elif name == "logprobs" and value:
            _add(choice.setdefault("logprobs", {}), value)
        elif value is not None:
            choice[name] = value


def _add_calls(message: Json, calls: Iterable[Mapping[str, Any]]) -> None:
    for call in calls:
        known: list[Json] = message.setdefault("tool_calls", [])
        while len(known) <= call["index"]:
            known.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        one = known[call["index"]]
        one["id"], one["type"] = call.get("id") or one["id"], call.get("type") or one["type"]
        _add(one["function"], call.get("function") or {})


def _add(known: Json, told: Mapping[str, Any]) -> None:
    """What a delta adds: texts and lists grow, anything else is replaced."""
    for name, value in told.items():
        if isinstance(value, str | list) and known.get(name):
            known[name] = known[name] + value
        elif value is not None or name not in known:
            known[name] = value


def _usage(tokens: Tokens) -> Json:
    prompt = tokens.input + tokens.cached + tokens.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens.output,
        "total_tokens": prompt + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def _assembled_message(found: list[Event]) -> Json:
    message: Json = {}
    arguments: dict[int, str] = {}
    for one in found:
        told = from_json(one.data)
        match told["type"]:
            case "message_start":
                message = {**told["message"], "content": []}
            case "content_block_start":
                message["content"].append(dict(told["content_block"]))
            case "content_block_delta":
                _add_block(message["content"][told["index"]], told["delta"], arguments, told["index"])
            case "message_delta":
                message.update(told["delta"])
                message["usage"] = {**message.get("usage", {}), **(told.get("usage") or {})}
            case "error":
                raise Unfinished("it failed")
    if not found or found[-1].name != "message_stop":
        raise Unfinished("the end is missing")
    for index, text in arguments.items():
        message["content"][index]["input"] = from_json(text) if text else {}
    return message


def _add_block(block: Json, delta: Mapping[str, Any], arguments: dict[int, str], index: int) -> None:
    match delta["type"]:
        case "input_json_delta":
            arguments[index] = arguments.get(index, "") + delta["partial_json"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        case _:
            _add(block, {name: value for name, value in delta.items() if name != "type"})


def _assembled_response(found: list[Event]) -> Json:
    last = from_json(found[-1].data)
    if last["type"] != "response.completed":
        raise Unfinished("the end is missing")
    return last["response"]


def _chunk_events(face: Face, answer: Json, *, tells_usage: bool) -> Iterator[Event]:
    shared = {name: value for name, value in answer.items() if name not in {"choices", "usage"}}
    shared["object"] = "chat.completion.chunk" if face == Face.CHAT else "text_completion"
    for choice in answer["choices"]:
        index = choice["index"]
        said = {"delta": _delta(choice["message"])} if face == Face.CHAT else {"text": choice["text"]}
        first = {"index": index, **said, "logprobs": choice.get("logprobs"), "finish_reason": None}
        nothing: Json = {"delta": {}} if face == Face.CHAT else {"text": ""}
        last = {"index": index, **nothing, "logprobs": None, "finish_reason": choice["finish_reason"]}
        yield event(to_json({**shared, "choices": [first]}))
        yield event(to_json({**shared, "choices": [last]}))
    if tells_usage and "usage" in answer:
        yield event(to_json({**shared, "choices": [], "usage": answer["usage"]}))
    yield event(b"[DONE]")


def _delta(message: Mapping[str, Any]) -> Json:
    delta = {name: value for name, value in message.items() if value is not None}
    if calls := message.get("tool_calls"):
        delta["tool_calls"] = [{"index": index, **call} for index, call in enumerate(calls)]
    return delta


def _named(told: Json) -> Event:
    return event(to_json(told), told["type"])


def _message_events(answer: Json) -> Iterator[Event]:
    usage = answer.get("usage") or {}
    begun = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    yield _named({"type": "message_start", "message": {**begun, "usage": {**usage, "output_tokens": 0}}})
    for index, block in enumerate(answer["content"]):
        empty, deltas = _block_deltas(block)
        yield _named({"type": "content_block_start", "index": index, "content_block": empty})
        for delta in deltas:
            yield _named({"type": "content_block_delta", "index": index, "delta": delta})
        yield _named({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": answer["stop_reason"], "stop_sequence": answer.get("stop_sequence")}
    told = {"output_tokens": usage.get("output_tokens", 0)}
    yield _named({"type": "message_delta", "delta": ended, "usage": told})
    yield _named({"type": "message_stop"})


def _block_deltas(block: Json) -> tuple[Json, list[Json]]:
    """A block as it begins, and what then completes it; kinds that are not known come whole."""
    match block["type"]:
        case "text":
            cited = [{"type": "citations_delta", "citation": one} for one in block.get("citations") or ()]
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}, *cited]
        case "tool_use":
            told = to_json(block["input"]).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": told}]
        case "thinking":
            signed = {"type": "signature_delta", "signature": block.get("signature", "")}
            thought = {"type": "thinking_delta", "thinking": block["thinking"]}
            return {"type": "thinking", "thinking": "", "signature": ""}, [thought, signed]
    return block, []


def _response_events(answer: Json) -> Iterator[Event]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    told = [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]
    for index, item in enumerate(answer["output"]):
        told += _item_events(index, item)
    told.append({"type": "response.completed", "response": answer})
    for number, one in enumerate(told):
        yield _named({**one, "sequence_number": number})


def _item_events(index: int, item: Json) -> Iterator[Json]:
    place = {"item_id": item.get("id", ""), "output_index": index}
    empties: dict[str, Json] = {"message": {"content": []}, "function_call": {"arguments": ""}}
    empty = empties.get(item["type"], {})
    begun = {**item, **empty, "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    if item["type"] == "function_call":
        text = item["arguments"]
        yield {"type": "response.function_call_arguments.delta", **place, "delta": text}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": text, "name": item["name"]}
    elif item["type"] == "message":
        for number, part in enumerate(item["content"]):
            yield from _part_events({**place, "content_index": number}, part)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(place: Json, part: Json) -> Iterator[Json]:
    field, name = ("refusal", "refusal") if part["type"] == "refusal" else ("text", "output_text")
    text, empty = part[field], {**part, field: ""}
    logprobs = {"logprobs": part.get("logprobs") or []} if name == "output_text" else {}
    yield {"type": "response.content_part.added", **place, "part": empty}
    yield {"type": f"response.{name}.delta", **place, "delta": text, **logprobs}
    yield {"type": f"response.{name}.done", **place, field: text, **logprobs}
    yield {"type": "response.content_part.done", **place, "part": part}
