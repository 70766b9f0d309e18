"""What is said in one dialect and meant in another."""

from __future__ import annotations

import json

import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from apps.gateway.dialects import sse
from apps.gateway.dialects.errors import Untranslatable
from apps.gateway.dialects.readings import READINGS
from apps.gateway.dialects.tokens import Tokens, of_anthropic, of_gemini, of_openai
from apps.gateway.dialects.translations import translation
from apps.gateway.enums import Face
from tests.stand_ins import provider_answers
from tests.stand_ins.provider_answers import HELLO, Saying

TOLD = {"chat": ChatCompletion, "messages": Message, "responses": Response}
ALL = [(face, dialect) for face in TOLD for dialect in ("chat", "messages", "generate") if face != dialect]
TOOL = Saying(tool=("weather", {"town": "Ulm"}))
THREAD = st.lists(st.text(min_size=1), min_size=1, max_size=5)


@pytest.mark.parametrize(("face", "dialect"), ALL)
@pytest.mark.parametrize("saying", [HELLO, TOOL, Saying(finish="length")])
def test_answers_are_what_the_makers_clients_read(face: str, dialect: str, saying: Saying) -> None:
    body = provider_answers.whole(dialect, {"model": "m"}, saying)
    answer = translation(Face(face), Face(dialect)).answer(body)
    TOLD[face].model_validate(json.loads(json.dumps(answer)), strict=False)
    assert ("Ulm" if saying.tool else saying.text) in json.dumps(answer)


@pytest.mark.parametrize(("face", "dialect"), ALL)
def test_streams_say_what_the_provider_said(face: str, dialect: str) -> None:
    asked = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}
    stream, reading = translation(Face(face), Face(dialect)).stream(asked), READINGS[Face(dialect)]()
    parser, found = sse.Parser(), []
    for event in parser.feed(b"".join(provider_answers.events(dialect, asked, HELLO))):
        reading.feed(event)
        found += stream.feed(event, reading)
    again = READINGS[Face(face)]()
    for event in sse.Parser().feed(b"".join([*found, *stream.end()])):
        again.feed(event)
    assert again.is_finished
    assert again.text() == HELLO.text
    assert (again.tokens.input, again.tokens.cached, again.tokens.output) == (HELLO.input, HELLO.cached, HELLO.output)


@given(THREAD)
def test_a_thread_comes_back_as_it_went(texts: list[str]) -> None:
    roles = ("user", "assistant")
    thread = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    said = translation(Face.CHAT, Face.MESSAGES).request({"messages": thread}, "m")
    back = translation(Face.MESSAGES, Face.CHAT).request(said, "m")["messages"]
    parts = [one["content"] if isinstance(one["content"], str) else one["content"][0]["text"] for one in back]
    assert parts == texts


@pytest.mark.parametrize("name", ["logprobs", "seed", "n", "functions"])
def test_what_cannot_be_said_is_refused_by_name(name: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        translation(Face.CHAT, Face.MESSAGES).request({"messages": [], name: 3}, "m")
    assert refused.value.field == name


def test_tokens_are_in_one_class_each() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 4}}
    assert of_openai({"prompt_tokens": 15, "completion_tokens": 7, **details}) == Tokens(11, 4, 0, 7)
    assert of_anthropic({"input_tokens": 11, "cache_read_input_tokens": 4, "output_tokens": 7}) == Tokens(11, 4, 0, 7)
    told = {"promptTokenCount": 15, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 2}
    assert of_gemini(told) == Tokens(11, 4, 0, 7, 2)
    assert of_openai({"prompt_tokens": 3, "prompt_cache_hit_tokens": 9}) == Tokens(0, 3)
    assert of_openai(None) is None
