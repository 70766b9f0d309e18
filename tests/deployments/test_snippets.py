"""The snippets are not looked at but run, as far as their languages are at hand."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from apps.deployments.snippets import infer_request, snippets
from apps.registry.signature import compile_checker
from tests.replica.models import SIGNATURE

ROW = {"age": 41.5, "income": 1000.0, "plan": 'it\'s "pro" $HOME \\ ü'}
OPEN_SIGNATURE = {**SIGNATURE, "inputs": [{**one, "categories": None} for one in SIGNATURE["inputs"]]}


class Recorder(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["Authorization"], json.loads(body)))  # type: ignore[attr-defined]
        answer = json.dumps({"outputs": [{"name": "label", "data": ["stay"]}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def endpoint() -> Iterator[Any]:
    server = HTTPServer(("127.0.0.1", 0), Recorder)
    server.received = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run(command: list[str], endpoint: Any) -> str:
    environment = {"MODELYARD_TOKEN": "my_secret", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert endpoint.received == [("Bearer my_secret", infer_request(OPEN_SIGNATURE, ROW))]
    return ended.stdout


def written(endpoint: Any) -> Any:
    return snippets(f"http://127.0.0.1:{endpoint.server_port}/v2/models/x/infer", infer_request(OPEN_SIGNATURE, ROW))


def test_the_example_request_fits_its_signature() -> None:
    assert compile_checker(OPEN_SIGNATURE)(infer_request(OPEN_SIGNATURE, ROW)) == 1


def test_the_curl_snippet_runs(endpoint: Any, tmp_path: Path) -> None:
    script = tmp_path / "snippet.sh"
    script.write_text(written(endpoint).curl)
    assert "stay" in run(["sh", str(script)], endpoint)


def test_the_python_snippet_runs(endpoint: Any) -> None:
    assert run([sys.executable, "-c", written(endpoint).python], endpoint) == "label ['stay']\n"


def test_the_javascript_snippet_is_the_same_call(endpoint: Any) -> None:
    javascript = written(endpoint).javascript
    start, end = javascript.index("JSON.stringify(") + len("JSON.stringify("), javascript.index("),\n});")
    assert json.loads(javascript[start:end]) == infer_request(OPEN_SIGNATURE, ROW)
