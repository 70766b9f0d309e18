"""Code that a deployment's page offers to copy: one real prediction, in the languages people call from. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

VARIABLE = "MODELYARD_TOKEN"


@dataclass(frozen=True, slots=True)
class Snippets:
    curl: str
    python: str
    javascript: str


def infer_request(signature: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """An Open Inference Protocol request for one row: a tensor of shape [1, 1] for each column."""
    return {
        "inputs": [
            {"name": one["name"], "datatype": one["datatype"], "shape": [1, 1], "data": [row[one["name"]]]}
            for one in signature["inputs"]
        ]
    }


def snippets(url: str, request: Mapping[str, Any]) -> Snippets:
    """The same call of `url` in each language; the token comes from the environment."""
    return Snippets(_curl(url, request), _python(url, request), _javascript(url, request))


def _tensors(request: Mapping[str, Any], indent: str) -> str:
    """The request as JSON, one tensor on a line."""
    lines = (f"{indent}  {json.dumps(tensor, ensure_ascii=False)}" for tensor in request["inputs"])
    return '{"inputs": [\n' + ",\n".join(lines) + f"\n{indent}]}}"


def _curl(url: str, request: Mapping[str, Any]) -> str:
    return (
        f"curl --fail-with-body {url} \\\n"
        f'  --header "Authorization: Bearer ${VARIABLE}" \\\n'
        '  --header "Content-Type: application/json" \\\n'
        f"  --data {shlex.quote(_tensors(request, '  '))}"
    )


def _python(url: str, request: Mapping[str, Any]) -> str:
    lines = "".join(f"        {tensor!r},\n" for tensor in request["inputs"])
    return (
        "import os\n"
        "import requests\n\n"
        f'response = requests.post(\n    "{url}",\n'
        f'    headers={{"Authorization": f"Bearer {{os.environ[\'{VARIABLE}\']}}"}},\n'
        f'    json={{"inputs": [\n{lines}    ]}},\n)\n'
        "response.raise_for_status()\n"
        'for output in response.json()["outputs"]:\n'
        '    print(output["name"], output["data"])'
    )


def _javascript(url: str, request: Mapping[str, Any]) -> str:
    return (
        f'const response = await fetch("{url}", {{\n'
        '  method: "POST",\n'
        "  headers: {\n"
        f"    Authorization: `Bearer ${{process.env.{VARIABLE}}}`,\n"
        '    "Content-Type": "application/json",\n'
        "  },\n"
        f"  body: JSON.stringify({_tensors(request, '  ')}),\n"
        "});\n"
        "if (!response.ok) throw new Error(await response.text());\n"
        "const { outputs } = await response.json();\n"
        "for (const { name, data } of outputs) console.log(name, data);"
    )
