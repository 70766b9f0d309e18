"""What was sent and answered, kept only where a route says so, without what nobody should find in a record."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.core import tenancy
from apps.gateway.bodies import CUT, LONGEST, redacted
from apps.gateway.models import ModelCall, ModelCallBody
from apps.gateway.services import forget_old
from apps.organizations.models import Membership
from tests.conftest import actor_of, api_client
from tests.edge.plane import Plane, made_plane
from tests.factories.people import UserFactory
from tests.gateway.plane import add_route, add_upstream, target
from tests.gateway.test_edge import ask, events, running, stand_in  # noqa: F401 - fixtures
from tests.gateway.test_pages import make_call
from tests.replica.models import ModelFiles
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider
from tests.stand_ins.provider_answers import HELLO


def said(text: str) -> str:
    return json.loads(redacted({"content": text}))["content"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("my key is sk-proj-abcdefghijklmnop", "sk-proj-abcdefghijklmnop"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("postgres://joan:hunter22@db/x", "hunter22"),
        ("write to joan.doe+news@mail.example.co.uk today", "joan.doe"),
        ("AKIAIOSFODNN7EXAMPLE is ours", "AKIAIOSFODNN7EXAMPLE"),
        ("pay with 4111 1111 1111 1111, please", "4111 1111 1111 1111"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
    ],
)
def test_a_secret_is_not_kept(text: str, secret: str) -> None:
    assert secret not in said(text)
    # Also where the text is cut in the middle of it.
    assert secret not in said("word " * ((LONGEST - len(text)) // 5) + text + " and so on" * 100)


@pytest.mark.parametrize(
    "text", ["order 4111 1111 1111 1112", "at 12:30 on 2026-11-24", "a@b", "task-force-of-seven", "a" * 150, "é" * 300]
)
def test_what_only_looks_alike_is_kept(text: str) -> None:
    assert said(text) == text


def test_what_stands_under_a_secret_s_name_is_not_kept() -> None:
    assert "letmein" not in redacted({"metadata": {"password": "letmein"}})
    assert json.loads(redacted({"max_tokens": 7})) == {"max_tokens": 7}


def test_pictures_and_vectors_are_told_by_their_size() -> None:
    picture = base64.b64encode(bytes(range(256)) * 12).decode()
    parts = [{"image_url": {"url": f"data:image/png;base64,{picture}"}}, {"source": {"data": picture}}]
    told = json.loads(redacted({"content": parts, "embedding": [0.25] * 1536}))
    assert told["content"][0]["image_url"]["url"] == "[image/png, 3072 bytes]"
    assert told["content"][1]["source"]["data"] == "[base64, 3072 bytes]"
    assert told["embedding"] == "[1536 numbers]"


def test_a_long_body_is_cut_and_stays_json() -> None:
    told = redacted({"messages": [{"role": "user", "content": "a long word " * 5_000}, {"content": "never read"}]})
    assert CUT.strip() in json.dumps(json.loads(told))
    assert "never read" not in told
    assert len(told) < LONGEST + 500


@pytest.mark.parametrize(
    "body", [{"a": ["x@y" * 30] * 50_000}, {str(n): n for n in range(200_000)}, ["1 " * 2_000_000]]
)
def test_a_large_body_takes_no_longer_than_what_is_kept_of_it(body: Any) -> None:
    begun = time.perf_counter()
    assert len(redacted(body)) < LONGEST * 4
    assert time.perf_counter() - begun < 0.25


@pytest.fixture
def plane(tmp_path: Path, stand_in: Provider) -> Iterator[Plane]:  # noqa: F811
    for made in made_plane(tmp_path, ModelFiles(tmp_path, tmp_path)):
        made.token = made.acme.token("gateway.call")
        kept = target(add_upstream(made.acme, f"{stand_in.url}/v1"))
        add_route(made.acme, "kept", kept, bodies_days=7)
        add_route(made.acme, "chat", kept)
        made.acme.publish()
        made.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
        yield made


def test_a_route_keeps_what_was_asked_and_answered_under_the_call_s_id(plane: Plane) -> None:
    secret = [{"role": "user", "content": "my key is sk-proj-abcdefghijklmnop"}]
    assert ask(plane).status == 200  # by a route that keeps nothing
    assert ask(plane, model="kept", messages=secret).status == 200
    assert ask(plane, model="kept", stream=True).status == 200
    whole, streamed = events(plane, "events:bodies", 2)
    calls = {call["id"]: call for call in events(plane, "events:models", 3)}
    assert [calls[one["id"]]["is_stream"] for one in (whole, streamed)] == [False, True]
    assert "sk-proj-abc" not in whole["request"]
    assert "my key is ***" in whole["request"]
    for kept in (whole, streamed):
        assert json.loads(kept["response"])["choices"][0]["message"]["content"] == HELLO.text
        days = datetime.fromisoformat(kept["expires_at"]) - datetime.now(UTC)
        assert timedelta(days=6, hours=23) < days < timedelta(days=7)
    assert len(plane.valkey.events("events:bodies")) == 2


def test_what_was_told_of_a_failure_is_kept_too(plane: Plane, stand_in: Provider) -> None:  # noqa: F811
    stand_in.answer = provider.refusing(400, "There is no such tool.", "invalid_request_error")
    assert ask(plane, model="kept").status == 400
    stand_in.answer = provider.reset_after(3)
    ask(plane, model="kept", stream=True)
    refused, cut = (json.loads(one["response"]) for one in events(plane, "events:bodies", 2))
    assert "There is no such tool." in refused["error"]["message"]
    assert cut["unfinished"]
    assert 0 < len(cut["text"]) < len(HELLO.text)
    assert HELLO.text.startswith(cut["text"])


def test_bodies_go_on_their_day_and_calls_after_theirs(in_acme: Any, settings: Any) -> None:
    settings.MODEL_CALL_DAYS = 30
    now = timezone.now()
    old, recent = make_call(occurred_at=now - timedelta(days=31)), make_call(occurred_at=now - timedelta(days=29))
    for call, ends in ((old, now + timedelta(days=1)), (recent, now - timedelta(seconds=1))):
        ModelCallBody.objects.create(id=call.pk, request="{}", response="{}", expires_at=ends)
    assert forget_old() == 2
    assert list(ModelCall.objects.all()) == [recent]
    assert list(ModelCallBody.objects.values_list("pk", flat=True)) == [old.pk]


def test_a_kept_body_is_on_the_call_s_page_and_in_the_api_until_its_day(
    as_viewer: Any, api_viewer: Any, in_acme: Any
) -> None:
    call = make_call()
    kept = ModelCallBody.objects.create(
        id=call.pk, request='{"said": "one <b>word</b>"}', response="{}", expires_at=timezone.now() + timedelta(days=1)
    )
    page, address = f"/o/acme/gateway/calls/{call.pk}/", f"/api/v1/gateway/calls/{call.pk}/"
    assert "one &lt;b&gt;word&lt;/b&gt;" in as_viewer.get(page).content.decode()
    assert api_viewer.get(address).json()["body"]["request"] == kept.request
    assert "body" not in api_viewer.get("/api/v1/gateway/calls/").json()["results"][0]
    ModelCallBody.objects.update(expires_at=timezone.now())
    assert "What was sent" not in as_viewer.get(page).content.decode()
    assert api_viewer.get(address).json()["body"] is None


def test_nobody_else_sees_a_kept_body(acme: Any, api_outsider: Any, api_billing: Any) -> None:
    with tenancy.scope(acme.pk):
        call = make_call()
        ModelCallBody.objects.create(id=call.pk, request="{}", response="{}", expires_at=timezone.now())
    assert api_outsider.get(f"/api/v1/gateway/calls/{call.pk}/").status_code == 404
    assert api_billing.get(f"/api/v1/gateway/calls/{call.pk}/").status_code == 403


@pytest.fixture
def api_billing(acme: Any) -> Any:
    user = UserFactory(email="billing@acme.test")
    with tenancy.scope(acme.pk):
        Membership.objects.create(user=user, role="billing")
    return api_client(acme, actor_of(user, "billing"))
