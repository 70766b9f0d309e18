"""Tokens that nobody told: counted with vocabularies that ship, and never far off."""

from __future__ import annotations

from typing import Any

import pytest

from apps.gateway.configuration import Gateway, Target
from apps.gateway.counting import IMAGE_TOKENS, LONGEST_COUNTED, count_request, count_text, estimated
from apps.gateway.enums import Face
from apps.gateway.exchange import Exchange

# As OpenAI's own tokenizer counts them: https://platform.openai.com/tokenizer
COUNTED = [("hello world", "gpt-4o", 2), ("hello world", "gpt-3.5-turbo", 2), ("", "gpt-4o", 0)]
SENTENCE = "A gateway stands between programs and the models that they call. "


@pytest.mark.parametrize(("text", "model", "count"), COUNTED)
def test_a_text_has_the_tokens_of_its_models_vocabulary(text: str, model: str, count: int) -> None:
    assert count_text(text, model) == count


def test_a_model_that_nobody_knows_is_counted_too() -> None:
    assert count_text(SENTENCE, "somebodys-own-7b") == count_text(SENTENCE, "gpt-4o") == 13


def test_of_a_long_text_a_part_stands_for_the_rest() -> None:
    text = SENTENCE * 4_000
    assert len(text) > LONGEST_COUNTED
    assert count_text(text) == pytest.approx(100 * count_text(SENTENCE * 40), rel=0.02)


def test_words_of_the_vocabularys_own_are_counted_too() -> None:
    assert count_text("<|endoftext|><|im_start|>") >= 2


def exchange(body: dict[str, Any]) -> Exchange:
    target = Target("1", None, "", "gpt-4o", 1, 0, frozenset(), {}, ())
    return Exchange(Face.CHAT, Gateway(), body=body, target=target)


def test_an_answer_without_usage_is_estimated_and_says_so() -> None:
    body = {"messages": [{"role": "system", "content": SENTENCE}, {"role": "user", "content": SENTENCE}]}
    tokens = estimated(exchange(body), "hello world")
    assert (tokens.input, tokens.output, tokens.is_estimated) == (count_text(SENTENCE * 2) + 2 * 4, 2, True)


def test_tools_and_parts_of_content_count_as_input() -> None:
    tool = {"type": "function", "function": {"name": "weather", "description": "The weather of a town"}}
    parts = [{"type": "text", "text": SENTENCE}]
    plain = estimated(exchange({"messages": [{"role": "user", "content": SENTENCE}]}), "")
    assert estimated(exchange({"messages": [{"role": "user", "content": parts}]}), "").input == plain.input
    with_tool = {"messages": [{"role": "user", "content": parts}], "tools": [tool]}
    assert estimated(exchange(with_tool), "").input > plain.input + 4


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}},
        {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 400_000},
        {"type": "image", "source": {"type": "base64", "data": "A" * 400_000}},
    ],
)
def test_a_picture_counts_as_a_picture_and_not_by_its_bytes(part: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": [part]}]}
    assert IMAGE_TOKENS <= count_request(body, 400_200) < IMAGE_TOKENS + 100


@pytest.mark.parametrize("told", [None, 5, "text", [None], [5], {}, [{"content": 5}], [{"content": [5, None]}]])
def test_what_has_another_shape_is_counted_by_its_bytes(told: Any) -> None:
    assert count_request({"messages": told}, 400) == 100
    assert estimated(exchange({"messages": told}), "").is_estimated
