"""A replica by itself, over real sockets."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.plane import INFER, MODEL, PATIENCE_S, Replica, Server
from tests.replica.models import SIGNATURE, ModelFiles, expected_probability, infer_request, write_model
from workers.replica.model import Model


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def replica(files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Replica(tmp_path_factory.mktemp("replica"), files).server
    yield server
    server.kill()


@pytest.mark.parametrize("rows", [1, 3, 5000])
def test_each_row_gets_the_models_own_prediction(replica: Server, rows: int) -> None:
    ages = [float(number % 80) for number in range(rows)]
    incomes = [None if number % 5 == 0 else 100.0 * (number % 30) for number in range(rows)]
    plans = ["basic" if number % 2 else "pro" for number in range(rows)]
    reply = replica.call("POST", INFER, infer_request(ages, incomes, plans))
    assert reply.status == 200
    _, probabilities = reply.json["outputs"]
    assert probabilities["shape"] == [rows, 2]
    expected = [expected_probability(*row) for row in zip(ages, incomes, plans, strict=True)]
    assert probabilities["data"][1::2] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("income", [None, 250, 250.0])
def test_one_row_is_fed_like_a_row_among_others(files: ModelFiles, income: float | None) -> None:
    model = Model(files.model, SIGNATURE, MODEL, "1")
    flat = infer_request(33, income, "pro")
    nested = {"inputs": [{**tensor, "data": [tensor["data"]]} for tensor in flat["inputs"]][::-1]}
    among_others = infer_request([1.0, 33.0], [2.0, income], ["basic", "pro"])
    for request in (flat, nested):
        assert probabilities(model, request)[0] == pytest.approx(probabilities(model, among_others)[1])


def probabilities(model: Model, request: Any) -> list[float]:
    """The probability of leaving in each row."""
    values: list[float] = json.loads(model.predict(json.dumps(request).encode())[0])["outputs"][1]["data"][1::2]
    return values


def test_only_the_outputs_asked_for_are_given(replica: Server) -> None:
    reply = replica.call("POST", INFER, infer_request(id="call-1", outputs=[{"name": "label"}])).json
    assert [output["name"] for output in reply["outputs"]] == ["label"]
    assert (reply["id"], reply["model_name"], reply["model_version"]) == ("call-1", MODEL, "1")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (infer_request(plan="gold"), 422, "unseen_category"),
        (infer_request(age="30"), 422, "wrong_type"),
        (infer_request(outputs=[{"name": "nothing"}]), 422, "unknown_output"),
    ],
)
def test_it_refuses_wrong_input_by_itself(replica: Server, body: Any, status: int, code: str) -> None:
    reply = replica.call("POST", INFER, body)
    assert (reply.status, reply.json["code"]) == (status, code)


def test_it_serves_its_own_model_and_version_only(replica: Server) -> None:
    assert replica.call("GET", f"/v2/models/{MODEL}/versions/1/ready").status == 200
    for path in ("/v2/models/other", f"/v2/models/{MODEL}/versions/2", "/v2/models/other/infer"):
        method = "POST" if path.endswith("infer") else "GET"
        assert replica.call(method, path, infer_request() if method == "POST" else None).status == 404


def test_it_describes_its_model(replica: Server) -> None:
    document = replica.call("GET", f"/v2/models/{MODEL}").json
    assert [item["name"] for item in document["inputs"]] == [item["name"] for item in SIGNATURE["inputs"]]
    assert document["platform"] == "onnxruntime_onnx"


def test_health_is_answered_while_large_requests_are_computed(replica: Server) -> None:
    rows = 10_000
    large = json.dumps(infer_request([1.0] * rows, [1.0] * rows, ["pro"] * rows)).encode()
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(replica.call("POST", INFER, large))) for _ in range(4)]
    for thread in threads:
        thread.start()
    healths = [replica.call("GET", "/v2/health/live").status for _ in range(20)]
    for thread in threads:
        thread.join()
    assert set(healths) == {200}
    assert [reply.status for reply in replies] == [200] * 4


def test_calls_share_a_kept_connection(replica: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=PATIENCE_S)
    bodies = []
    for age in (10.0, 20.0):
        connection.request("POST", INFER, json.dumps(infer_request(age)))
        socket = connection.sock
        bodies.append(json.loads(connection.getresponse().read()))
        assert connection.sock is socket
    connection.close()
    assert bodies[0] != bodies[1]


def test_it_ends_when_its_supervisor_is_gone(files: ModelFiles, tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    arguments = ["--model", str(files.model), "--signature", str(files.signature), "--name", MODEL, "--version", "1"]
    server = Server(
        tmp_path, "workers.replica", *arguments, "--replica-id", "orphan", SUPERVISOR_PID=str(supervisor.pid)
    )
    assert server.call("GET", "/v2/health/live").status == 200
    supervisor.kill()
    supervisor.wait()
    assert server.process.wait(PATIENCE_S) == -signal.SIGTERM


def test_a_model_that_is_no_model_ends_it_at_once(files: ModelFiles, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    command = [sys.executable, "-m", "workers.replica", "--model", str(broken), "--signature", str(files.signature)]
    ended = subprocess.run(
        [*command, "--name", MODEL, "--version", "1", "--replica-id", "x", "--port", "0"],
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode != 0
    assert b"broken.onnx" in ended.stderr


def test_s1_what_was_meant_for_the_replica_that_had_this_address_before_is_refused(
    files: ModelFiles, tmp_path: Path
) -> None:
    started = Replica(tmp_path, files)
    meant, other = ({"x-replica-id": replica_id} for replica_id in (started.id, "another-organizations-replica"))
    try:
        assert started.server.call("POST", INFER, infer_request(), meant).status == 200
        refused = started.server.call("POST", INFER, infer_request(), other)
        assert (refused.status, refused.json["code"]) == (503, "wrong_replica")
    finally:
        started.server.kill()
