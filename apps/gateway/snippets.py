"""Code that the gateway's pages offer to copy: one call of a route, in the languages people call from. Pure."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

VARIABLE = "MODELYARD_TOKEN"
EXAMPLE = "Say hello in five words."


@dataclass(frozen=True, slots=True)
class Snippets:
    curl: str
    openai: str
    anthropic: str
    javascript: str


def example(model: str) -> dict[str, Any]:
    """The body of a first call."""
    return {"model": model, "messages": [{"role": "user", "content": EXAMPLE}]}


def snippets(edge_url: str, body: dict[str, Any]) -> Snippets:
    """The chat completion of `body` in each language; the token comes from the environment."""
    return Snippets(
        _curl(edge_url, body), _openai(edge_url, body), _anthropic(edge_url, body), _javascript(edge_url, body)
    )


def _curl(edge_url: str, body: dict[str, Any]) -> str:
    return (
        f"curl --fail-with-body {edge_url}/v1/chat/completions \\\n"
        f'  --header "Authorization: Bearer ${VARIABLE}" \\\n'
        '  --header "Content-Type: application/json" \\\n'
        f"  --data {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )


def _openai(edge_url: str, body: dict[str, Any]) -> str:
    return (
        "import os\n"
        "from openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{edge_url}/v1", api_key=os.environ["{VARIABLE}"])\n'
        f"answer = client.chat.completions.create(\n{_arguments(body)})\n"
        "print(answer.choices[0].message.content)"
    )


def _anthropic(edge_url: str, body: dict[str, Any]) -> str:
    asked = [one for one in body["messages"] if one["role"] != "system"]
    told = "\n".join(one["content"] for one in body["messages"] if one["role"] == "system")
    given = {"max_tokens": 256, **body, **({"system": told} if told else {}), "messages": asked}
    return (
        "import os\n"
        "from anthropic import Anthropic\n\n"
        f'client = Anthropic(base_url="{edge_url}", api_key=os.environ["{VARIABLE}"])\n'
        f"answer = client.messages.create(\n{_arguments(given)})\n"
        "print(answer.content[0].text)"
    )


def _arguments(given: dict[str, Any]) -> str:
    return "".join(f"    {name}={value!r},\n" for name, value in given.items())


def _javascript(edge_url: str, body: dict[str, Any]) -> str:
    return (
        'import OpenAI from "openai";\n\n'
        f'const client = new OpenAI({{ baseURL: "{edge_url}/v1", apiKey: process.env.{VARIABLE} }});\n'
        f"const answer = await client.chat.completions.create({json.dumps(body, ensure_ascii=False, indent=2)});\n"
        "console.log(answer.choices[0].message.content);"
    )
