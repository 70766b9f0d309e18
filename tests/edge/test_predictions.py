"""The way of one call through the edge, over real sockets."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from apps.core import tokens
from tests.edge.plane import INFER, MODEL, PERSON, Plane, Tenant, wait_until
from tests.replica.models import expected_probability, infer_request


def without_id(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "request_id"}


def call_event(plane: Plane, request_id: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        return next((e for e in plane.valkey.events("events:calls") if e["request_id"] == request_id), None)

    event: dict[str, Any] = wait_until(found, f"the record of {request_id}")
    return event


def usage_of(plane: Plane, request_id: str) -> list[dict[str, Any]]:
    events = plane.valkey.events("events:usage")
    return [event for event in events if event["dimensions"]["request_id"] == request_id]


def test_a_prediction_is_the_models_own(serving: Plane) -> None:
    reply = serving.infer(infer_request([20.0, 40.0], [None, 500.0], ["pro", "basic"], id="two rows"))
    assert reply.status == 200
    assert reply.json["id"] == "two rows"
    label, probabilities = reply.json["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [2, 1], "data": ["leave", "leave"]}
    expected = [expected_probability(20, None, "pro"), expected_probability(40, 500, "basic")]
    assert probabilities["data"][1::2] == pytest.approx(expected, rel=1e-5)


def test_a_prediction_is_metered_by_its_rows_and_recorded_with_its_replica(serving: Plane) -> None:
    reply = serving.infer(infer_request([1.0, 2.0, 3.0], [1, 2, 3], ["pro"] * 3), **{"X-Request-Id": "three-rows"})
    assert reply.headers["x-request-id"] == "three-rows"
    record = call_event(serving, "three-rows")
    (usage,) = usage_of(serving, "three-rows")
    deployment = serving.acme.deployments[MODEL]
    assert (usage["meter"], usage["quantity"]) == ("predictions", 3)
    assert usage["organization_id"] == record["organization_id"] == serving.acme.id
    assert usage["dimensions"]["deployment"] == record["deployment"] == deployment["deployment_id"]
    assert usage["dimensions"]["user"] == PERSON
    assert record["replica"] == deployment["replicas"][0]["id"]
    assert (record["status"], record["error_code"], record["route"]) == (200, "", "/v2/models/{name}/infer")
    assert record["response_bytes"] == len(reply.body)
    assert record["token"] == serving.token.token_id


@pytest.mark.parametrize(
    ("request_body", "code", "field"),
    [
        (infer_request(age="old"), "wrong_type", "age"),
        (infer_request(age=True), "wrong_type", "age"),
        (infer_request(age=None), "null_value", "age"),
        (infer_request(plan="gold"), "unseen_category", "plan"),
        ({"inputs": infer_request()["inputs"][:2]}, "missing_column", "plan"),
        (infer_request([1.0, 2.0]), "unequal_lengths", "income"),
        ([], "not_an_object", None),
    ],
)
def test_input_that_does_not_fit_is_refused_by_its_column(
    serving: Plane, request_body: Any, code: str, field: str | None
) -> None:
    reply = serving.infer(request_body)
    assert reply.status == 422
    assert reply.headers["content-type"] == "application/problem+json"
    document = reply.json
    assert (document["code"], document["error"]) == (code, document["detail"])
    assert [error["field"] for error in document["errors"]] == ([field] if field else [])
    record = call_event(serving, document["request_id"])
    assert (record["status"], record["error_code"]) == (422, code)
    assert not usage_of(serving, document["request_id"])


@pytest.mark.parametrize("body", [b"", b"{", b"age=30", b"\xff", b"[" * 5000])
def test_what_is_not_json_is_refused(serving: Plane, body: bytes) -> None:
    reply = serving.infer(body)
    assert (reply.status, reply.json["code"]) == (400, "malformed_json")


def test_a_body_over_the_cap_is_refused_and_recorded(serving: Plane) -> None:
    reply = serving.infer(b" " * (16 * 1024 * 1024 + 1))
    assert (reply.status, reply.json["code"]) == (413, "body_too_large")
    assert call_event(serving, reply.json["request_id"])["error_code"] == "body_too_large"


def test_every_bad_token_is_refused_alike_and_not_recorded(serving: Plane) -> None:
    stranger = tokens.generate(uuid.uuid4(), uuid.uuid4())
    unknown = tokens.generate(uuid.UUID(serving.acme.id), uuid.uuid4())
    forged = tokens.Token(serving.acme.id, serving.token.token_id, "x" * 43)
    expired = serving.acme.token("predictions.create", expires_at=time.time() - 1)
    serving.acme.publish()
    before = len(serving.valkey.events("events:calls"))
    replies = [
        serving.edge.call("POST", INFER, infer_request(), {"authorization": value} if value else {})
        for value in (
            "",
            "Basic eDp5",
            "Bearer nonsense",
            *(f"Bearer {t}" for t in (stranger, unknown, forged, expired)),
        )
    ]
    assert {reply.status for reply in replies} == {401}
    assert {reply.headers["www-authenticate"] for reply in replies} == {'Bearer realm="modelyard"'}
    assert all(without_id(reply.json) == without_id(replies[0].json) for reply in replies)
    assert call_event(serving, serving.infer().headers["x-request-id"])["status"] == 200
    assert len(serving.valkey.events("events:calls")) == before + 1


def test_a_token_without_the_permission_is_refused_and_recorded(serving: Plane) -> None:
    reader = serving.acme.token("deployments.read")
    serving.acme.publish()
    reply = wait_until(lambda: (r := serving.infer(token=reader)).status == 403 and r, "the new token")
    assert reply.json["code"] == "permission_missing"
    assert "predictions.create" in reply.json["detail"]
    assert call_event(serving, reply.json["request_id"])["status"] == 403
    metadata = serving.edge.call("GET", f"/v2/models/{MODEL}", headers={"authorization": f"Bearer {reader}"})
    assert metadata.status == 200


def test_another_organizations_model_is_answered_like_one_that_does_not_exist(serving: Plane) -> None:
    globex = Tenant(serving.valkey)
    outsider = globex.token("predictions.create")
    globex.publish()
    for path in (INFER, f"/v2/models/{MODEL}/versions/1/infer"):
        theirs = wait_until(lambda: (r := serving.infer(token=outsider, path=path)).status != 401 and r, "globex")  # noqa: B023
        nobodys = serving.infer(token=outsider, path=path.replace(MODEL, "nothing"))
        assert theirs.status == nobodys.status == 404
        assert without_id(theirs.json) == {
            key: value.replace("nothing", MODEL) if isinstance(value, str) else value
            for key, value in without_id(nobodys.json).items()
        }


def test_the_protocols_other_paths_tell_of_server_and_model(serving: Plane) -> None:
    headers = {"authorization": f"Bearer {serving.token}"}
    assert serving.edge.call("GET", "/v2").json["name"] == "modelyard"
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}/ready"):
        assert serving.edge.call("GET", path, headers=headers).status == 200
    for path in (f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/versions/1"):
        document = serving.edge.call("GET", path, headers=headers).json
        assert (document["name"], document["versions"]) == (MODEL, ["1"])
        assert [column["name"] for column in document["inputs"]] == ["age", "income", "plan"]
    assert serving.edge.call("GET", f"/v2/models/{MODEL}/versions/2", headers=headers).status == 404
    assert serving.edge.call("GET", f"/v2/models/{MODEL}").status == 401
    wrong_method = serving.edge.call("GET", INFER, headers=headers)
    assert (wrong_method.status, wrong_method.headers["allow"]) == (405, "POST")
    assert serving.edge.call("GET", "/v2/nothing").json["code"] == "not_found"


def test_the_models_own_version_is_served_and_no_other(serving: Plane) -> None:
    assert serving.infer(path=f"/v2/models/{MODEL}/versions/1/infer").status == 200
    assert serving.infer(path=f"/v2/models/{MODEL}/versions/2/infer").json["code"] == "model_not_found"


@pytest.mark.parametrize("request_id", ["x", "a" * 65, "new\tline", "ünicode-id"])
def test_a_strange_request_id_is_replaced(serving: Plane, request_id: str) -> None:
    reply = serving.infer(**{"X-Request-Id": request_id.encode().decode("latin-1")})
    assert reply.headers["x-request-id"].startswith("req_")
