"""The data plane's refusals are problem documents, and one request's id leads through its record and its log."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from tests.edge.plane import INFER, Plane, Reply, wait_until
from tests.replica.models import infer_request

ID = "order-4711:predict"

Send = Callable[[Plane], Reply]


def with_body(body: bytes) -> Send:
    def send(plane: Plane) -> Reply:
        headers = {"authorization": f"Bearer {plane.token}", "x-request-id": ID}
        return plane.edge.call("POST", INFER, body, headers)

    return send


def with_authorization(text: str) -> Send:
    return lambda plane: plane.edge.call("POST", INFER, infer_request(), {"authorization": text, "x-request-id": ID})


def with_another_scope(plane: Plane) -> Reply:
    token = plane.acme.token("datasets.read")
    plane.acme.publish()

    def admitted() -> Reply | None:
        reply = plane.infer(token=token, **{"x-request-id": ID})
        return None if reply.status == HTTPStatus.UNAUTHORIZED else reply

    return wait_until(admitted, "the edge knows the new token")


def with_declared_length(length: int) -> Send:
    def send(plane: Plane) -> Reply:
        headers = {"authorization": f"Bearer {plane.token}", "x-request-id": ID, "content-length": str(length)}
        return plane.edge.call("POST", INFER, b"", headers)

    return send


def at(method: str, path: str) -> Send:
    def send(plane: Plane) -> Reply:
        return plane.edge.call(method, path, None, {"authorization": f"Bearer {plane.token}", "x-request-id": ID})

    return send


CASES: dict[str, tuple[Send, int, str]] = {
    "malformed JSON": (with_body(b'{"inputs": '), 400, "malformed_json"),
    "no token": (with_authorization(""), 401, "not_authenticated"),
    "a token nobody has": (with_authorization("Bearer my_" + "0" * 64 + "." + "a" * 43), 401, "not_authenticated"),
    "a token for something else": (with_another_scope, 403, "permission_missing"),
    "unknown path": (at("POST", "/v2/modls/leaving/infer"), 404, "not_found"),
    "unknown model": (at("POST", "/v2/models/nope/infer"), 404, "model_not_found"),
    "another method": (at("DELETE", INFER), 405, "method_not_allowed"),
    "too much": (with_declared_length(99_999_999), 413, "body_too_large"),
    "a wrong column": (with_body(json.dumps(infer_request(age="old")).encode()), 422, "wrong_type"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_a_problem_document(case: str, serving: Plane) -> None:
    send, status, code = CASES[case]
    check(send(serving), status, code)


def check(reply: Reply, status: int, code: str) -> None:
    document: dict[str, Any] = reply.json
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json"), document
    assert (document["status"], document["title"]) == (status, HTTPStatus(status).phrase)
    assert (document["code"], document["type"]) == (code, f"urn:modelyard:error:{code}")
    assert document["request_id"] == reply.headers["x-request-id"] == ID
    assert document["detail"] == document["error"]


def test_one_id_leads_from_the_call_to_its_record_and_its_log_line(
    plane: Plane, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    plane.acme.deploy(plane.start_replica())
    plane.acme.publish()
    plane.start_edge()
    reply = plane.infer(**{"x-request-id": ID})
    assert (reply.status, reply.headers["x-request-id"]) == (200, ID)
    record = wait_until(lambda: [one for one in plane.valkey.events("events:calls") if one["request_id"] == ID], "it")
    assert [one["status"] for one in record] == [200]
    usage = wait_until(lambda: plane.valkey.events("events:usage"), "the usage")
    assert [one["dimensions"]["request_id"] for one in usage] == [ID]

    lines: list[dict[str, Any]] = []

    def is_told() -> bool:
        captured = capfd.readouterr()
        texts = [text for text in (captured.out + captured.err).splitlines() if text.startswith("{")]
        lines.extend(line for text in texts if (line := json.loads(text)).get("request_id") == ID)
        return bool(lines)

    wait_until(is_told, "the log line")
    assert (lines[0]["plane"], lines[0]["status"], lines[0]["organization"]) == ("edge", 200, plane.acme.id)
