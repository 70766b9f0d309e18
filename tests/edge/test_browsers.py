"""Calls of models by scripts of our own pages, where the data plane is another origin than they."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.plane import Plane, Reply, made_plane
from tests.replica.models import ModelFiles

OURS, OTHERS = "https://app.modelyard.test", "https://elsewhere.test"
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder: Path = tmp_path_factory.mktemp("plane")
    for made in made_plane(folder, ModelFiles(folder, folder)):
        made.token = made.acme.token("gateway.call")
        made.acme.publish()
        made.start_edge(PUBLIC_URL=f"{OURS}/")
        yield made


def asked(plane: Plane, origin: str) -> Reply:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return plane.edge.call("OPTIONS", PATH, headers=headers)


def test_our_page_may_send_its_call(plane: Plane) -> None:
    reply = asked(plane, OURS)
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, OURS)
    assert "authorization" in reply.headers["access-control-allow-headers"]
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert reply.headers["vary"] == "origin"


@pytest.mark.parametrize("origin", [OTHERS, "null", f"{OURS}.elsewhere.test"])
def test_other_sites_scripts_may_not(plane: Plane, origin: str) -> None:
    assert "access-control-allow-origin" not in asked(plane, origin).headers
    headers = {"origin": origin, "authorization": f"Bearer {plane.token}"}
    assert "access-control-allow-origin" not in plane.edge.call("POST", PATH, {"model": "x"}, headers).headers


def test_our_page_may_read_refusals_and_the_calls_id(plane: Plane) -> None:
    for authorization in (f"Bearer {plane.token}", "Bearer nobody"):
        headers = {"origin": OURS, "authorization": authorization}
        reply = plane.edge.call("POST", PATH, {"model": "unknown", "messages": []}, headers)
        assert reply.status in {401, 404}
        assert reply.headers["access-control-allow-origin"] == OURS
        assert "x-request-id" in reply.headers["access-control-expose-headers"]


def test_calls_of_programs_are_told_nothing_of_it(plane: Plane) -> None:
    reply = plane.edge.call("POST", PATH, {"model": "unknown"}, {"authorization": f"Bearer {plane.token}"})
    assert "access-control-allow-origin" not in reply.headers
