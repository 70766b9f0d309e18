"""Gemini's generateContent, said for callers of chat. Imports no Django.

Source: https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any

from apps.gateway.dialects import chat, tokens
from apps.gateway.dialects.chat import Body
from apps.gateway.dialects.errors import untranslatable
from apps.gateway.dialects.readings import mapping, objects
from apps.gateway.dialects.tokens import Tokens

SETTINGS = {
    "temperature": "temperature",
    "top_p": "topP",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
KNOWN = frozenset(
    {
        *SETTINGS,
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "tools",
        "tool_choice",
        "response_format",
        "reasoning_effort",
    }
)
# Tokens that it may think for.
BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576}
MODES = {"auto": "AUTO", "required": "ANY", "none": "NONE"}
FINISHES = {"STOP": "stop", "MAX_TOKENS": "length", "MALFORMED_FUNCTION_CALL": "stop"}


class GenerateDialect:
    def request(self, body: Mapping[str, Any], model: str) -> Body:
        """The model stands in the address."""
        chat.check(body, KNOWN)
        system, contents = _contents(objects(body.get("messages")))
        told: Body = {"contents": contents, **_tools(body)}
        if system:
            told["systemInstruction"] = {"parts": system}
        if settings := _settings(body):
            told["generationConfig"] = settings
        return told

    def answer(self, body: Mapping[str, Any]) -> Body:
        choices = []
        for number, candidate in enumerate(objects(body.get("candidates"))):
            text, calls = _said(candidate)
            choices.append(chat.choice(text, calls, _finish(candidate, bool(calls)), candidate.get("index", number)))
        return chat.completion(body.get("modelVersion"), choices, tokens.of_gemini(body.get("usageMetadata")))

    def chunks(self) -> GenerateChunks:
        return GenerateChunks()


class GenerateChunks:
    """Chunks of chat from a row of answers."""

    def __init__(self) -> None:
        self._chunks = chat.Chunks()
        self._tokens: Tokens | None = None
        self._call_counts: dict[int, int] = {}

    def feed(self, told: Mapping[str, Any]) -> list[Body]:
        self._chunks.head["model"] = told.get("modelVersion") or self._chunks.head["model"]
        self._tokens = tokens.of_gemini(told.get("usageMetadata")) or self._tokens
        return [chunk for candidate in objects(told.get("candidates")) for chunk in self._candidate(candidate)]

    def end(self) -> list[Body]:
        return [self._chunks.usage(self._tokens)] if self._tokens else []

    def _candidate(self, candidate: Mapping[str, Any]) -> list[Body]:
        index = candidate.get("index", 0)
        text, calls = _said(candidate)
        found = []
        if index not in self._call_counts:
            self._call_counts[index] = 0
            found.append(self._chunks.delta({"role": "assistant", "content": ""}, index=index))
        if text:
            found.append(self._chunks.delta({"content": text}, index=index))
        for call in calls:
            numbered = {"index": self._call_counts[index], **call}
            found.append(self._chunks.delta({"tool_calls": [numbered]}, index=index))
            self._call_counts[index] += 1
        if candidate.get("finishReason"):
            found.append(self._chunks.delta({}, _finish(candidate, bool(self._call_counts[index])), index))
        return found


def _said(candidate: Mapping[str, Any]) -> tuple[str, list[Body]]:
    """Text and called tools, without what was only thought."""
    parts = objects(mapping(candidate.get("content")).get("parts"))
    text = "".join(str(part.get("text", "")) for part in parts if not part.get("thought"))
    used = [mapping(part["functionCall"]) for part in parts if part.get("functionCall")]
    return text, [chat.called(call["name"], call.get("args") or {}, call.get("id", "")) for call in used]


def _finish(candidate: Mapping[str, Any], has_calls: bool) -> str:
    reason = candidate.get("finishReason") or "STOP"
    return "tool_calls" if has_calls and reason == "STOP" else FINISHES.get(reason, "content_filter")


def _contents(said: list[Mapping[str, Any]]) -> tuple[list[Body], list[Body]]:
    """Parts of the system's and contents; what one side says in a row is one content."""
    system: list[Body] = []
    contents: list[Body] = []
    names: dict[Any, Any] = {}  # a result names its tool here, not its call
    for message in said:
        role = message.get("role")
        if role in {"system", "developer"}:
            text = chat.text_of(message.get("content"))
            system += [{"text": text}] if text else []
            continue
        for call in objects(message.get("tool_calls")):
            names[call.get("id")] = mapping(call.get("function")).get("name")
        side = "model" if role == "assistant" else "user"
        parts = _parts(message, names)
        if contents and contents[-1]["role"] == side:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": side, "parts": parts})
    return system, [content for content in contents if content["parts"]]


def _parts(message: Mapping[str, Any], names: Mapping[Any, Any]) -> list[Body]:
    content = message.get("content")
    match message.get("role"):
        case "tool":
            name = names.get(message.get("tool_call_id"))
            if name is None:
                raise untranslatable("tool_call_id", "no call before it has this id")
            return [{"functionResponse": {"name": name, "response": {"result": chat.text_of(content)}}}]
        case "user":
            return [_part(part) for part in chat.parts_of(content)]
        case "assistant":
            text = chat.text_of(content)
            calls = objects(message.get("tool_calls"))
            used = [
                {"name": mapping(call.get("function")).get("name"), "args": chat.arguments_of(call)} for call in calls
            ]
            return ([{"text": text}] if text else []) + [{"functionCall": call} for call in used]
    raise untranslatable("messages", f"it knows no role `{message.get('role')}`")


def _part(part: Mapping[str, Any]) -> Body:
    if part.get("type") == "text":
        return {"text": part.get("text", "")}
    if part.get("type") == "image_url":
        url = chat.image_url(part)
        if inline := chat.data_url(url):
            return {"inlineData": {"mimeType": inline[0], "data": inline[1]}}
        kind = mimetypes.guess_type(url.partition("?")[0])[0] or "image/jpeg"
        return {"fileData": {"mimeType": kind, "fileUri": url}}
    raise untranslatable("messages", f"it takes no part of type `{part.get('type')}`")


def _settings(body: Mapping[str, Any]) -> Body:
    told = {theirs: body[name] for name, theirs in SETTINGS.items() if body.get(name) is not None}
    if most := chat.most_tokens(body):
        told["maxOutputTokens"] = most
    if stops := chat.stops_of(body):
        told["stopSequences"] = stops
    if (schema := chat.schema_of(body)) is not None:
        told |= {"responseMimeType": "application/json", "responseJsonSchema": schema}
    elif mapping(body.get("response_format")).get("type") == "json_object":
        told["responseMimeType"] = "application/json"
    if effort := body.get("reasoning_effort"):
        told["thinkingConfig"] = {"thinkingBudget": BUDGETS.get(effort, BUDGETS["high"])}
    return told


def _tools(body: Mapping[str, Any]) -> Body:
    functions = [
        {
            "name": function.get("name"),
            **({"description": function["description"]} if function.get("description") else {}),
            **({"parametersJsonSchema": function["parameters"]} if function.get("parameters") else {}),
        }
        for function in chat.functions_of(body)
    ]
    if not functions:
        return {}
    asked = body.get("tool_choice") or "auto"
    if isinstance(asked, str):
        config: Body = {"mode": MODES.get(asked, "AUTO")}
    elif name := mapping(mapping(asked).get("function")).get("name"):
        config = {"mode": "ANY", "allowedFunctionNames": [name]}
    else:
        raise untranslatable("tool_choice")
    return {"tools": [{"functionDeclarations": functions}], "toolConfig": {"functionCallingConfig": config}}
