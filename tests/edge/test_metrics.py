"""What the data plane tells Prometheus and its access log about itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.edge.plane import INFER, Plane, Reply, made_plane, wait_until
from tests.replica.models import ModelFiles

TOKEN = "the-scrapers-own-token-of-some-length"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Iterator[Plane]:
    """A plane whose edge is scraped, and whose log is a file of JSON lines."""
    folder = tmp_path_factory.mktemp("metrics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METRICS_TOKEN", TOKEN)
        patch.setenv("LOG_FORMAT", "json")
        for plane in made_plane(folder, model_files):
            plane.acme.deploy(plane.start_replica())
            plane.acme.publish()
            with (folder / "edge.log").open("wb") as log, _stderr_to(log.fileno()):
                plane.start_edge()
            yield plane


class _stderr_to:
    """Children inherit the file as their standard error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        self._kept = os.dup(2)
        os.dup2(self._descriptor, 2)

    def __exit__(self, *_: Any) -> None:
        os.dup2(self._kept, 2)
        os.close(self._kept)


def scrape(plane: Plane, authorization: str = f"Bearer {TOKEN}") -> Reply:
    return plane.edge.call("GET", "/metrics", headers={"authorization": authorization})


def samples(plane: Plane) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(scrape(plane).body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_calls_are_counted_by_route_and_status_class(serving: Plane) -> None:
    before = samples(serving).get("modelyard_http_requests_total", {})
    assert serving.infer().status == 200
    assert serving.infer(token="my_nobody").status == 401
    for number in range(3):
        serving.edge.call("GET", f"/v2/nowhere/{number}")
    found = samples(serving)
    route = "/v2/models/{name}/infer"
    counted = found["modelyard_http_requests_total"]
    assert counted["POST", "edge", route, "2xx"] - before.get(("POST", "edge", route, "2xx"), 0) == 1
    assert counted["POST", "edge", route, "4xx"] >= 1
    assert counted["GET", "edge", "unmatched", "4xx"] >= 3
    assert found["modelyard_token_refusals_total"]["edge",] >= 1
    assert found["modelyard_http_request_duration_seconds_count"]["POST", "edge", route] >= 2
    assert found["modelyard_http_requests_in_flight"]["edge",] == 1  # the scrape itself
    assert "modelyard_edge_queued_events" in found
    assert "process_resident_memory_bytes" in found
    assert "python_gc_collections_total" in found


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer wrong", TOKEN])
def test_only_the_scraper_reads_them(authorization: str, serving: Plane) -> None:
    reply = scrape(serving, authorization)
    assert reply.status == 401
    assert b"modelyard_http" not in reply.body


def test_every_answer_is_kept_by_nobody_and_taken_for_what_it_is(serving: Plane) -> None:
    for reply in (serving.infer(), serving.edge.call("GET", "/v2/nowhere"), scrape(serving)):
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert not [name for name in reply.headers if name.lower().startswith("access-control-")]


def test_s3_each_call_is_a_line_of_json_without_its_token(serving: Plane) -> None:
    log = serving.folder / "edge.log"
    reply = serving.edge.call(
        "POST", f"{INFER}?token={serving.token}", {}, {"authorization": f"Bearer {serving.token}"}
    )
    request_id = reply.headers["x-request-id"]
    wait_until(lambda: request_id in log.read_text(), "the call's line")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == request_id]
    assert line.keys() >= {"timestamp", "level", "logger", "event", "duration_ms"}
    assert (line["event"], line["method"], line["route"]) == ("request", "POST", "/v2/models/{name}/infer")
    assert (line["organization"], line["actor"]) == (serving.acme.id, serving.token.token_id)
    assert serving.token.secret not in log.read_text()
    assert not [line for line in lines if line.get("route") in {"/metrics", "/healthz"}]


def test_without_a_token_of_its_own_there_are_no_metrics(
    tmp_path: Path, model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("METRICS_TOKEN", raising=False)
    for plane in made_plane(tmp_path, model_files):
        plane.start_edge()
        assert scrape(plane).status == 404
