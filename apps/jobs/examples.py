"""Programs to copy: how a job is submitted and how one's own processes do such work. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

VARIABLE = "MODELYARD_TOKEN"


@dataclass(frozen=True, slots=True)
class Example:
    """A job to submit; what is empty is left out."""

    kind: str
    name: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    tags: Sequence[str] = ()

    def wishes(self) -> dict[str, Any]:
        given = {"name": self.name, "priority": self.priority, "tags": list(self.tags)}
        return {name: value for name, value in given.items() if value not in ("", None, [])}


def curl(example: Example, public_url: str) -> str:
    body = json.dumps({"kind": example.kind, "input": example.input, **example.wishes()}, indent=2, ensure_ascii=False)
    quoted = body.replace("'", "'\\''")
    return (
        f"curl --fail-with-body {public_url}/api/v1/jobs/ \\\n"
        f'  --header "Authorization: Bearer ${VARIABLE}" \\\n'
        '  --header "Idempotency-Key: $(uuidgen)" \\\n'
        '  --header "Content-Type: application/json" \\\n'
        f"  --data '{quoted}'"
    )


def python(example: Example, public_url: str) -> str:
    arguments = [repr(example.kind), repr(dict(example.input))]
    arguments += [f"{name}={value!r}" for name, value in example.wishes().items()]
    return (
        "import os\n\nfrom modelyard import Client\n\n"
        f'client = Client("{public_url}", os.environ["{VARIABLE}"])\n'
        f"job = client.submit({', '.join(arguments)})"
    )


def tracked(kind: str, public_url: str) -> str:
    """A script that shows up as a job while it runs."""
    return (
        "import os\n\nfrom modelyard import Client\n\n"
        f'client = Client("{public_url}", os.environ["{VARIABLE}"])\n'
        f'with client.job("{kind}") as job:\n'
        "    for epoch in range(10):\n"
        "        ...  # your work\n"
        '        job.progress((epoch + 1) / 10, f"epoch {epoch + 1}/10")\n'
        '    job.result = {"accuracy": 0.94}'
    )


def worker(kind: str, public_url: str) -> str:
    """A process that does jobs of this kind until it is stopped."""
    return (
        "import os\n\nfrom modelyard import Client\n\n"
        f'client = Client("{public_url}", os.environ["{VARIABLE}"])\n\n'
        f'@client.handles("{kind}")\n'
        "def work(job):\n"
        '    job.log(f"starting with {job.input}")\n'
        '    return {"accuracy": 0.94}\n\n'
        'client.work(worker="gpu-1")'
    )


def install(public_url: str) -> str:
    return f"curl --fail --remote-name {public_url}/clients/python/modelyard.py"
