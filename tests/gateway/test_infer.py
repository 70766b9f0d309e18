"""The Open Inference Protocol through routes: models that speak JSON, and the organization's own deployments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.plane import MODEL, Plane, Reply, made_plane, wait_until
from tests.gateway.plane import add_route, add_upstream, target
from tests.replica.models import ModelFiles, infer_request, write_model
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider.running() as started:
        yield started


@pytest.fixture(scope="module")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def stand_in(running: Provider) -> Provider:
    running.forget()
    return running


@pytest.fixture
def plane(tmp_path: Path, model_files: ModelFiles, stand_in: Provider) -> Iterator[Plane]:
    for made in made_plane(tmp_path, model_files):
        made.token = made.acme.token("gateway.call")
        scorer = add_upstream(made.acme, f"{stand_in.url}/score", "json")
        chatting = add_upstream(made.acme, f"{stand_in.url}/v1")
        made.acme.deploy(made.start_replica())
        own = target(deployment=MODEL, model="")
        add_route(made.acme, "scorer", target(scorer, prices=[]), {**own, "tier": 1})
        add_route(made.acme, "own", own)
        add_route(made.acme, "mixed", target(chatting), own)
        add_route(made.acme, "chat", target(chatting))
        made.acme.publish()
        made.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
        yield made


def infer(plane: Plane, route: str, body: Any = None, **headers: str) -> Reply:
    return plane.infer(body, path=f"/v2/models/{route}/infer", **headers)


def recorded(plane: Plane, count: int = 1) -> list[dict[str, Any]]:
    return wait_until(
        lambda: found if len(found := plane.valkey.events("events:models")) >= count else None, "the calls' events"
    )


def test_a_model_that_speaks_json_gets_the_bytes_and_its_answer_is_handed_back(
    plane: Plane, stand_in: Provider
) -> None:
    stand_in.answer = provider.garbled(b'{"outputs": [{"name": "score", "data": [0.25]}]}')
    body = b'{ "inputs": [1,2.50 ], "stream": true}'
    reply = infer(plane, "scorer", body)
    assert (reply.status, reply.body) == (200, b'{"outputs": [{"name": "score", "data": [0.25]}]}')
    [received] = stand_in.received
    assert (received.method, received.path, received.body) == ("POST", "/score", body)
    assert received.headers["authorization"] == "Bearer sk-up"
    [event] = recorded(plane)
    assert (event["face"], event["route"], event["status"], event["cost_micro_usd"]) == ("infer", "scorer", 200, None)
    assert not event["is_stream"]


def test_such_a_model_may_answer_with_a_list(plane: Plane, stand_in: Provider) -> None:
    stand_in.answer = provider.garbled(b"[0.25, 0.75]")
    assert infer(plane, "scorer").body == b"[0.25, 0.75]"


def test_a_deployment_answers_where_the_json_model_fails(plane: Plane, stand_in: Provider) -> None:
    stand_in.answer = provider.refusing(500, "out of order", "server_error")
    reply = infer(plane, "scorer", infer_request([20.0, 40.0], [None, 500.0], ["pro", "basic"]))
    assert reply.status == 200, reply.body
    assert reply.json["outputs"][0]["data"] == ["leave", "leave"]
    [event] = recorded(plane)
    assert [one["error_class"] for one in event["attempts"]] == ["server_error", ""]
    assert (event["upstream"], event["cost_micro_usd"]) == (MODEL, 0)


def test_the_rows_of_a_deployment_behind_a_route_are_metered(plane: Plane) -> None:
    reply = infer(plane, "own", infer_request([1.0, 2.0], [1, 2], ["pro"] * 2), **{"X-Request-Id": "two-rows"})
    assert reply.status == 200, reply.body
    used = wait_until(lambda: plane.valkey.events("events:usage"), "the usage")
    assert [(one["meter"], one["quantity"], one["dimensions"]["request_id"]) for one in used] == [
        ("predictions", 2, "two-rows")
    ]


def test_an_amount_of_predictions_that_refuses_holds_behind_a_route_too(plane: Plane) -> None:
    plane.acme.usage = {"predictions": {"limit": 0, "period": "2000-01", "used": 0}}
    plane.acme.publish()
    assert wait_until(lambda: (r := infer(plane, "own")).status == 429 and r, "refused").json["code"]


def test_input_that_the_deployment_refuses_is_refused_with_its_reason(plane: Plane) -> None:
    reply = infer(plane, "own", {"inputs": []})
    assert reply.status in {400, 422}, reply.body
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_route_to_models_of_language_only_does_not_infer(plane: Plane, stand_in: Provider) -> None:
    reply = infer(plane, "chat")
    assert (reply.status, reply.json["code"]) == (422, "endpoint_not_supported")
    assert stand_in.received == []


@pytest.mark.parametrize("repeat", range(5))
def test_only_targets_that_speak_what_is_asked_are_asked(plane: Plane, stand_in: Provider, repeat: int) -> None:
    assert infer(plane, "mixed").status == 200
    assert stand_in.received == []
    headers = {"authorization": f"Bearer {plane.token}"}
    body = {"model": "mixed", "messages": [{"role": "user", "content": "Hello"}]}
    assert plane.edge.call("POST", "/v1/chat/completions", body, headers).status == 200


def test_a_deployment_of_the_name_comes_before_a_route(plane: Plane) -> None:
    add_route(plane.acme, MODEL, target(deployment="elsewhere", model=""))
    plane.acme.publish()
    predicting = plane.acme.token("predictions.create")
    plane.acme.publish()
    reply = wait_until(lambda: (r := plane.infer(token=predicting)).status == 200 and r, "the new token")
    assert reply.json["model_name"] == MODEL


def test_a_name_that_is_nobodys_is_not_found_and_permissions_hold(plane: Plane) -> None:
    predicting = plane.acme.token("predictions.create")
    plane.acme.publish()
    refused = wait_until(
        lambda: (r := plane.infer(token=predicting, path="/v2/models/own/infer")).status == 403 and r, "the new token"
    )
    assert "gateway.call" in refused.json["detail"]
    calling = {"authorization": f"Bearer {plane.token}"}
    assert plane.edge.call("POST", "/v2/models/nobody/infer", {}, calling).status == 403
    assert plane.edge.call("POST", "/v2/models/nobody/infer", {}).status == 401


def test_a_key_infers_with_its_routes_only(plane: Plane) -> None:
    plane.acme.gateway["keys"][plane.token.token_id] = {
        "id": "0190a6c0-0000-7000-8000-0000000000aa",
        "routes": ["chat"],
        "budget": None,
        "tags": {},
    }
    plane.acme.publish()
    reply = wait_until(lambda: (r := infer(plane, "own")).status == 404 and r, "refused")
    assert reply.json["code"] == "model_not_found"


def test_a_route_tells_what_it_is_and_whether_it_is_ready(plane: Plane) -> None:
    headers = {"authorization": f"Bearer {plane.token}"}
    told = plane.edge.call("GET", "/v2/models/scorer", headers=headers)
    assert told.json == {"name": "scorer", "platform": "modelyard_route", "inputs": [], "outputs": []}
    ready = plane.edge.call("GET", "/v2/models/scorer/ready", headers=headers)
    assert (ready.status, ready.json) == (200, {"name": "scorer", "ready": True})
