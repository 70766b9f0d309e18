from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.edge.plane import Plane, made_plane, wait_until
from tests.gateway.plane import add_route, add_upstream, target
from tests.replica.models import ModelFiles
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider

PATIENCE_S = 10.0
QUICK = {"deadline_ms": 3_000, "first_byte_ms": 600, "idle_ms": 600}
# The base that an upstream of each kind is given.
BASES = {"compatible": "/v1", "openai": "/v1", "anthropic": "", "gemini": "", "azure": ""}
SECRET = "sk-of-the-provider"


@dataclass
class Gateway:
    """A real edge before a provider that is scripted, and the makers' own clients."""

    plane: Plane
    first: Provider
    second: Provider

    @property
    def url(self) -> str:
        return f"http://{self.plane.edge.address}"

    @property
    def key(self) -> str:
        return str(self.plane.token)

    @property
    def openai(self) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=str(self.plane.token), base_url=f"{self.url}/v1", max_retries=0, timeout=PATIENCE_S
        )

    @property
    def anthropic(self) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key=self.key, base_url=self.url, max_retries=0, timeout=PATIENCE_S)

    def events(self, stream: str = "events:models") -> list[dict[str, Any]]:
        return self.plane.valkey.events(stream)

    def recorded(self, route: str) -> dict[str, Any]:
        """The event of the latest call of a route."""
        return wait_until(lambda: [one for one in self.events() if one["route"] == route], "the call's event")[-1]


@pytest.fixture(scope="package")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("conformance")
    with provider.running() as first, provider.running() as second:
        for plane in made_plane(folder, ModelFiles(Path(), Path())):
            plane.token = plane.acme.token("gateway.call")
            for kind, base in BASES.items():
                upstream = add_upstream(plane.acme, first.url + base, kind, (SECRET,))
                add_route(plane.acme, kind, target(upstream), attempts=1, **QUICK)
            plane.acme.publish()
            plane.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
            yield Gateway(plane, first, second)


@pytest.fixture
def gateway(started: Gateway) -> Gateway:
    for stand_in in (started.first, started.second):
        stand_in.forget()
    started.plane.valkey.client.delete("events:models", "events:usage")
    return started
