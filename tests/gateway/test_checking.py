"""Checking an upstream, in front of a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.gateway import services
from apps.gateway.models import Route, Upstream
from apps.organizations import services as organizations
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


class Listing(BaseHTTPRequestHandler):
    """Answers with what its server holds for a path, and keeps what it was asked."""

    server: Any

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        status, told = self.server.answers.get(self.path, (404, {"error": {"message": "no such path"}}))
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(settings: Any) -> Iterator[Any]:
    settings.OUTBOUND_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with ThreadingHTTPServer(("127.0.0.1", 0), Listing) as listening:
        listening.asked, listening.answers = [], {}  # type: ignore[attr-defined]
        listening.url = f"http://127.0.0.1:{listening.server_port}"  # type: ignore[attr-defined]
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening
        listening.shutdown()


KEY = "sk-checked-secret-4711"


def make(kind: str, url: str, actor: Actor, **columns: Any) -> Upstream:
    return services.create_upstream(name=kind, kind=kind, base_url=url, secret=KEY, by=actor, **columns)


@pytest.mark.parametrize(
    ("kind", "path", "header", "value"),
    [
        ("compatible", "/models", "authorization", f"Bearer {KEY}"),
        ("azure", "/openai/models?api-version=2024-10-21", "api-key", KEY),
        ("anthropic", "/v1/models", "x-api-key", KEY),
        ("gemini", "/v1beta/models", "x-goog-api-key", KEY),
    ],
)
def test_each_kind_is_asked_for_its_models(
    kind: str, path: str, header: str, value: str, server: Any, in_acme: Any, actor: Actor
) -> None:
    listed = {"models": [{"name": "models/m-1"}]} if kind == "gemini" else {"data": [{"id": "m-1"}, {"odd": 1}, 7]}
    server.answers[path] = 200, listed
    check = services.check_upstream(
        make(kind, server.url, actor, api_version="2024-10-21", headers={"x-team": "a"}), by=actor
    )
    assert (check.is_ok, check.status, check.models, check.message) == (True, 200, ["m-1"], "")
    [(asked, headers)] = server.asked
    assert (asked, headers[header], headers["x-team"]) == (path, value, "a")


def test_what_is_wrong_is_told_in_the_providers_words_without_the_key(server: Any, in_acme: Any, actor: Actor) -> None:
    server.answers["/models"] = 401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    check = services.check_upstream(make("compatible", server.url, actor), by=actor)
    assert (check.is_ok, check.status) == (False, 401)
    assert "Incorrect API key" in check.message
    assert "4711" not in check.message
    entry = AuditEntry.objects.get(action="upstream.checked")
    assert KEY not in str(entry.changes)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": "x"}', b'"text"', b"{" * 100_000])
def test_an_answer_that_lists_no_models_is_no_success(body: bytes, server: Any, in_acme: Any, actor: Actor) -> None:
    server.answers["/models"] = 200, body
    check = services.check_upstream(make("compatible", server.url, actor), by=actor)
    assert not check.is_ok
    assert "list of models" in check.message


def test_an_upstream_that_is_away_or_not_to_be_called_is_told(
    server: Any, in_acme: Any, actor: Actor, settings: Any
) -> None:
    upstream = make("compatible", server.url, actor)
    server.shutdown()
    server.server_close()
    assert "could not be reached" in services.check_upstream(upstream, by=actor).message
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    assert not services.check_upstream(upstream, by=actor).is_ok


def test_a_plain_model_is_well_when_it_answers(server: Any, in_acme: Any, actor: Actor) -> None:
    upstream = make("json", f"{server.url}/predict", actor)
    assert services.check_upstream(upstream, by=actor).is_ok
    server.answers["/predict"] = 500, {}
    assert not services.check_upstream(upstream, by=actor).is_ok
    server.answers["/predict/healthy"] = 200, b"ok"
    upstream = services.update_upstream(upstream, health_path="/healthy", by=actor)
    assert services.check_upstream(upstream, by=actor).is_ok


def test_the_local_model_is_asked_where_it_runs(server: Any, in_acme: Any, actor: Actor, settings: Any) -> None:
    settings.LLM_URL = f"{server.url}/v1"
    server.answers["/v1/models"] = 200, {"data": [{"id": "smollm2-135m-instruct"}]}
    upstream = services.create_upstream(name="Local", kind="local", by=actor)
    assert services.check_upstream(upstream, by=actor).models == ["smollm2-135m-instruct"]
    settings.LLM_URL = ""
    assert "without its local model" in services.check_upstream(upstream, by=actor).message


def test_the_api_checks_and_a_viewer_may_not(
    server: Any, acme: Any, actor: Actor, api_owner: Any, api_viewer: Any, api_outsider: Any
) -> None:
    server.answers["/models"] = 200, {"data": [{"id": "m-1"}]}
    with tenancy.scope(acme.pk):
        upstream = make("compatible", server.url, actor)
    path = f"/api/v1/gateway/upstreams/{upstream.pk}/check/"
    answer = api_owner.post(path)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told.pop("latency_ms") >= 0
    assert told == {"is_ok": True, "status": 200, "message": "", "models": ["m-1"]}
    assert api_viewer.post(path).status_code == 403
    assert api_outsider.post(path).status_code == 404


def test_a_new_organization_has_the_local_model_where_one_runs(settings: Any, db: None) -> None:
    settings.LLM_URL = ""
    without = organizations.create_organization("Without", UserFactory())
    settings.LLM_URL = "http://127.0.0.1:1/v1"
    founder = UserFactory()
    organization = organizations.create_organization("With", founder)
    with tenancy.scope(without.pk):
        assert not Upstream.objects.exists()
    with tenancy.scope(organization.pk):
        target = Route.objects.get(name="small").targets.get()
        assert target.upstream is not None
        assert (target.upstream.kind, target.model) == ("local", "smollm2-135m-instruct")
        told = AuditEntry.objects.filter(action__in=["upstream.created", "route.created"])
        assert {entry.actor_label for entry in told} == {founder.email}
        assert len(told) == 2
