"""Entity tags: which state an editor or reader means."""

from __future__ import annotations

import pytest

from apps.core.entity_tags import EntityTag, PreconditionUnreadable, digest_of

TAG = EntityTag("e1", "s1")


@pytest.mark.parametrize(
    ("if_match", "permitted"),
    [
        ('"e1-s1"', True),
        ('"e1-s2"', True),
        ('"e2-s1"', False),
        ('"e2-s1", "e1-s1"', True),
        ('"e2-s1",,"e1-s1" ,', True),
        ("*", True),
        (" * ", True),
        ('W/"e1-s1"', False),
        ('"e1-s1-gzip"', True),
        ('""', False),
    ],
)
def test_an_edit_is_permitted_in_the_edited_state_that_is_named(if_match: str, permitted: bool) -> None:
    assert TAG.permits_edit(if_match) is permitted


@pytest.mark.parametrize("if_match", ["", "e1-s1", '"e1-s1', '"e1" "e2"', "*, *", 'w/"e1"', '"a\x00"'])
def test_what_names_no_state_is_refused(if_match: str) -> None:
    with pytest.raises(PreconditionUnreadable):
        TAG.permits_edit(if_match)


@pytest.mark.parametrize(
    ("if_none_match", "known"),
    [('"e1-s1"', True), ('"e1-s2"', False), ('W/"e1-s1"', True), ('"x", "e1-s1"', True), ("*", True), ("", False)],
)
def test_an_answer_is_known_when_all_of_it_is(if_none_match: str, known: bool) -> None:
    assert TAG.is_known(if_none_match) is known


def test_a_tag_depends_on_values_and_not_on_their_order() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1, "b": 2}) != digest_of({"a": 2, "b": 1})
    assert digest_of({"a": None}) != digest_of({"a": ""})
