from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import passes, tokens
from apps.core.edge import Answer, Call, Snapshot
from apps.core.errors import NotAuthenticated
from apps.organizations import edge

ORGANIZATION = str(uuid.uuid4())
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def pepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_PEPPER", "salt of the earth")


def issued(now: float = NOW) -> str:
    return passes.issue(ORGANIZATION, "somebody", ["gateway.call"], source="playground", now=now)


def test_a_pass_says_whose_call_it_is_for_a_minute() -> None:
    read = passes.read(issued(), NOW + 59)
    assert read == passes.Pass(ORGANIZATION, "somebody", frozenset({"gateway.call"}), NOW + 60, "playground")
    assert passes.read(issued(), NOW + 60) is None


@given(st.text())
def test_any_other_text_is_no_pass(text: str) -> None:
    assert passes.read(text, NOW) is None
    assert passes.read(f"{passes.PREFIX}{text}", NOW) is None
    assert passes.read(f"{issued()}{text or '.'}", NOW) is None


def test_a_changed_statement_is_no_pass() -> None:
    statement, signature = issued().removeprefix(passes.PREFIX).split(".")
    told = json.loads(base64.urlsafe_b64decode(statement + "=="))
    told["permissions"] = ["organization.delete"]
    forged = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    assert passes.read(f"{passes.PREFIX}{forged}.{signature}", NOW) is None


def test_a_pass_needs_the_pepper_it_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    text = issued()
    monkeypatch.setenv("TOKEN_PEPPER", "new,salt of the earth")
    assert passes.read(text, NOW)
    monkeypatch.setenv("TOKEN_PEPPER", "new")
    assert passes.read(text, NOW) is None


class Snapshots:
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def get(self, organization_id: str) -> Snapshot | None:
        return self._snapshot if organization_id == self._snapshot.organization_id else None


def call_with(**headers: str) -> Call:
    async def read() -> bytes:
        return b""

    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Call("POST", "/v1/chat/completions", b"", named, "127.0.0.1", "r", read)


async def accepted(call: Call, sections: dict[str, Any]) -> Call:
    async def last(call: Call) -> Answer:
        return Answer(200, [], b"")

    stage = edge.authenticate(Snapshots(Snapshot(ORGANIZATION, 1, sections)))
    await stage(call, last)
    return call


async def test_a_pass_opens_the_data_plane_for_its_organization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.time, "time", lambda: NOW)
    call = await accepted(call_with(authorization=f"Bearer {issued()}"), {})
    assert (call.organization_id, call.user_id, call.token_id) == (ORGANIZATION, "somebody", None)
    assert call.permissions == {"gateway.call"}
    assert call.dimensions["source"] == "playground"


async def test_a_pass_of_an_organization_that_is_no_more_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.time, "time", lambda: NOW)
    stranger = passes.issue(str(uuid.uuid4()), None, ["gateway.call"], source="playground", now=NOW)
    with pytest.raises(NotAuthenticated):
        await accepted(call_with(authorization=f"Bearer {stranger}"), {})


@pytest.mark.parametrize("header", ["x_api_key", "api_key"])
async def test_a_token_may_stand_where_other_clients_put_their_key(header: str) -> None:
    token = tokens.generate(uuid.UUID(ORGANIZATION), uuid.uuid4())
    entry = {"hash": tokens.digest(token.secret), "scopes": ["gateway.call"], "expires_at": None}
    call = await accepted(call_with(**{header: str(token)}), {"tokens": {token.token_id: entry}})
    assert call.token_id == token.token_id


async def test_a_bearer_comes_before_a_key_beside_it() -> None:
    token = tokens.generate(uuid.UUID(ORGANIZATION), uuid.uuid4())
    with pytest.raises(NotAuthenticated):
        await accepted(call_with(authorization="Bearer wrong", x_api_key=str(token)), {"tokens": {}})
