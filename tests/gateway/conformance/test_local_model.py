"""The makers' own clients before the edge before the model that runs here: nothing is scripted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.plane import Server, made_plane
from tests.gateway.conformance.conftest import Gateway
from tests.gateway.plane import add_route, add_upstream, target
from tests.replica.models import ModelFiles
from tests.stand_ins.provider import Provider
from workers.llm.engine import MODEL
from workers.llm.line import EMBEDDING_MODEL
from workers.supervisor.environment import model_url

pytestmark = pytest.mark.slow

ASK = [{"role": "user", "content": "Say the word hello."}]
SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("local")
    for plane in made_plane(folder, ModelFiles(Path(), Path())):
        plane.token = plane.acme.token("gateway.call")
        upstream = add_upstream(plane.acme, "", "local", ())
        add_route(plane.acme, "local", target(upstream, model=MODEL, prices=[]))
        add_route(plane.acme, "embed", target(upstream, model=EMBEDDING_MODEL, prices=[]))
        plane.acme.publish()
        model = Server(folder, "workers.llm")
        plane.servers.append(model)
        plane.start_edge(LLM_URL=model_url(model.port))
        yield Gateway(plane, Provider(), Provider())


def test_a_chat_has_words_and_tokens_and_no_invented_price(local: Gateway) -> None:
    answer = local.openai.chat.completions.create(model="local", messages=ASK, max_tokens=12, temperature=0)
    assert answer.choices[0].message.content
    event = local.recorded("local")
    assert event["input_tokens"] + event["cached_tokens"] == answer.usage.prompt_tokens
    assert event["output_tokens"] == answer.usage.completion_tokens > 0
    assert event["cost_micro_usd"] is None, "a model without a price is unpriced, not free"


def test_a_stream_says_what_the_whole_answer_says(local: Gateway) -> None:
    asked = {"model": "local", "messages": ASK, "max_tokens": 12, "temperature": 0}
    whole = local.openai.chat.completions.create(**asked)
    chunks = list(local.openai.chat.completions.create(**asked, stream=True))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert len(chunks) > 3


def test_an_answer_keeps_to_a_schema(local: Gateway) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "town", "schema": SCHEMA}}
    asked = [{"role": "user", "content": "Name a town in Germany, as JSON."}]
    answer = local.openai.chat.completions.create(
        model="local", messages=asked, max_tokens=60, temperature=0, response_format=wanted
    )
    assert isinstance(json.loads(answer.choices[0].message.content)["town"], str)


def test_embeddings_have_the_length_and_the_sense_of_the_model(local: Gateway) -> None:
    found = local.openai.embeddings.create(model="embed", input=["a cat", "a kitten", "an invoice"])
    cat, kitten, invoice = (one.embedding for one in found.data)
    assert len(cat) == 384
    assert _dot(cat, kitten) > _dot(cat, invoice)


def _dot(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))
