from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import tokens
from apps.organizations import edge


@pytest.fixture(autouse=True)
def pepper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_PEPPER", "salt of the earth")


@given(st.uuids(), st.uuids())
def test_a_token_reads_back_what_it_was_made_of(organization_id: uuid.UUID, token_id: uuid.UUID) -> None:
    token = tokens.generate(organization_id, token_id)
    assert str(token) == f"my_{organization_id.hex}{token_id.hex}.{token.secret}"
    assert tokens.parse(str(token)) == token
    assert (token.organization_id, token.token_id) == (str(organization_id), str(token_id))


@given(st.text())
def test_any_other_text_is_no_token(text: str) -> None:
    assert tokens.parse(text) is None


def test_a_token_with_anything_around_it_is_no_token() -> None:
    text = str(tokens.generate(uuid.uuid4(), uuid.uuid4()))
    assert tokens.parse(text + "\n") is tokens.parse(" " + text) is tokens.parse(text.upper()) is None


def test_what_is_no_token_is_not_remembered_at_any_length() -> None:
    before = edge._token.cache_info().currsize
    for number in range(10):
        assert edge._parsed(b"%d" % number + b"x" * 100_000) is None
    assert edge._token.cache_info().currsize == before


def test_the_longest_token_is_read() -> None:
    token = tokens.Token(str(uuid.uuid4()), str(uuid.uuid4()), "s" * 128)
    assert edge._parsed(str(token).encode()) == token


def test_a_digest_matches_its_own_secret_only() -> None:
    stored = tokens.digest("right")
    assert tokens.matches("right", stored)
    assert not tokens.matches("wrong", stored)
    assert not tokens.matches("right", "")
    assert "right" not in stored


def test_a_digest_needs_the_pepper_it_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = tokens.digest("secret")
    monkeypatch.setenv("TOKEN_PEPPER", "another")
    assert not tokens.matches("secret", stored)


def test_an_older_pepper_verifies_while_tokens_are_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    old = tokens.digest("secret")
    monkeypatch.setenv("TOKEN_PEPPER", "new,salt of the earth")
    assert tokens.matches("secret", old)
    assert tokens.digest("secret") == tokens.digest("secret", "new") != old
