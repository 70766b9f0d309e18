"""What a job of the Python client tells beside its work: it keeps the lease whatever is logged, and tells all once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from apps.jobs.client import modelyard
from apps.jobs.client.modelyard import ApiError, RunningJob, Unreachable

LEASE = {"cancel_requested": False, "timed_out": False}


class Desk:
    """Stands for the client: keeps what a job tells, and refuses or loses what the test says."""

    def __init__(self, answers: Callable[[str, Any], None] = lambda what, body: None) -> None:
        self.beats: list[Any] = []
        self.logged: dict[str, list[str]] = {}
        self._answers = answers

    def _send(self, method: str, path: str, body: Any, *, key: str | None = None, **how: Any) -> Any:
        what = path.split("/")[-2]
        if what == "heartbeat":
            self.beats.append(body)
        self._answers(what, body) if what != "log" else self._log(key, body)
        return {**LEASE, "status": "succeeded"}

    def _log(self, key: str | None, body: Any) -> None:
        """As the server does: a refused batch has no effect, one that is sent again under its key only one."""
        assert key
        try:
            self._answers("log", body)
        except Unreachable:
            self.logged.setdefault(key, [line["text"] for line in body["lines"]])
            raise
        self.logged.setdefault(key, [line["text"] for line in body["lines"]])

    @property
    def lines(self) -> list[str]:
        return [text for lines in self.logged.values() for text in lines]


def job_at(desk: Desk, lease_s: float = 10) -> RunningJob:
    told = {"id": "1", "kind": "own", "name": "own", "attempt": 1, "input": {}, "lease_s": lease_s}
    return RunningJob(desk, told)  # type: ignore[arg-type]


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_line_that_is_refused_keeps_neither_the_lease_nor_the_other_lines() -> None:
    def refuse(what: str, body: Any) -> None:
        if what == "log" and any(line["text"] == "bad" for line in body["lines"]):
            raise ApiError(400, "invalid", "It is refused.")

    desk = Desk(refuse)
    with job_at(desk) as job:
        for number in range(7):
            job.log("bad" if number == 3 else f"line {number}")
        until(lambda: bool(desk.beats))
    assert desk.lines == [f"line {number}" for number in range(7) if number != 3]


def test_who_logs_faster_than_can_be_sent_keeps_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelyard, "REPORT_EVERY_S", 0.05)
    desk = Desk(lambda what, body: time.sleep(0.02) if what == "log" else None)
    with job_at(desk, lease_s=1) as job:
        end = time.monotonic() + 2
        while time.monotonic() < end and len(desk.beats) < 3:
            for _ in range(200):
                job.log("more")
            time.sleep(0.01)
        assert len(desk.beats) >= 3
        with job._keeper._sending:
            job._keeper._lines.clear()


def test_lines_whose_answer_was_lost_are_written_once() -> None:
    lost = [1, 1]

    def lose(what: str, body: Any) -> None:
        if what == "log" and lost:
            lost.pop()
            raise Unreachable("The answer was lost.")

    desk = Desk(lose)
    with job_at(desk) as job:
        job.log("first")
        until(lambda: len(lost) == 1)
        job.log("second")
        until(lambda: not lost)
    assert desk.lines == ["first", "second"]


def test_names_of_files_that_are_no_unicode_can_be_told() -> None:
    desk = Desk()
    with job_at(desk) as job:
        job.progress(0.5, "caf\udce9")
        job.log("caf\udce9")
    until(lambda: bool(desk.lines))
    assert desk.lines == ["caf?"]


def test_an_answer_of_somebody_on_the_way_counts_as_none() -> None:
    class Portal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if "200" in self.path else 404)
            self.end_headers()
            self.wfile.write(b"<html>Sign in</html>" if "200" in self.path else b'["not found"]')

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Portal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = modelyard.Client(f"http://127.0.0.1:{server.server_port}", "token", patience_s=0)
    try:
        with pytest.raises(Unreachable):
            client.get("200")
        with pytest.raises(ApiError):
            client.get("404")
    finally:
        server.shutdown()
        server.server_close()
