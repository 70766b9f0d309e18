"""Tokens by class, as each provider means them. Imports no Django.

OpenAI and Gemini count cached tokens among the prompt's, Anthropic does not; OpenAI counts reasoning among the
output's, Gemini beside them. Here nothing is in two classes but reasoning, which is part of the output.
Sources: https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/docs/build-with-claude/
prompt-caching, https://ai.google.dev/api/generate-content#UsageMetadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tokens:
    """`input` has neither `cached` nor `cache_write` in it, `output` has `reasoning`."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    is_estimated: bool = False

    def by_meter(self) -> dict[str, int]:
        """What the ledger counts, where there is any of it."""
        counted = {
            "input_tokens": self.input,
            "cached_tokens": self.cached,
            "cache_write_tokens": self.cache_write,
            "output_tokens": self.output,
        }
        return {meter: count for meter, count in counted.items() if count}


def of_openai(usage: Any) -> Tokens | None:
    """Of chat, completions, embeddings and responses, and of servers that speak like them."""
    if not isinstance(usage, dict):
        return None
    prompt = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    if prompt is None and output is None:
        return None
    told = _object(usage, "prompt_tokens_details", "input_tokens_details")
    cached = _first(told, "cached_tokens")
    if cached is None:
        cached = _first(usage, "prompt_cache_hit_tokens") or 0  # DeepSeek's word
    written = _first(told, "cache_write_tokens", "cache_creation_tokens") or 0
    reasoning = _first(_object(usage, "completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    return _split(prompt or 0, cached, written, output or 0, reasoning or 0)


def of_anthropic(usage: Any) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    told, output = _first(usage, "input_tokens"), _first(usage, "output_tokens")
    if told is None and output is None:
        return None
    cached = _first(usage, "cache_read_input_tokens") or 0
    written = _first(usage, "cache_creation_input_tokens") or 0
    return Tokens(told or 0, cached, written, output or 0)


def of_gemini(usage: Any) -> Tokens | None:
    if not isinstance(usage, dict):
        return None
    prompt, output = _first(usage, "promptTokenCount"), _first(usage, "candidatesTokenCount")
    reasoning = _first(usage, "thoughtsTokenCount") or 0
    if prompt is None and output is None and not reasoning:
        return None
    tools = _first(usage, "toolUsePromptTokenCount") or 0
    cached = _first(usage, "cachedContentTokenCount") or 0
    return _split((prompt or 0) + tools, cached, 0, (output or 0) + reasoning, reasoning)


def _split(prompt: int, cached: int, written: int, output: int, reasoning: int) -> Tokens:
    """Of a prompt's count that has the cached tokens in it, whatever a provider says of them."""
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    return Tokens(prompt - cached - written, cached, written, output, min(reasoning, output))


def _first(told: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return max(value, 0)
    return None


def _object(told: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        if isinstance(value := told.get(name), dict):
            return value
    return {}
