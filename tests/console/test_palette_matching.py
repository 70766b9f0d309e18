"""What a typed text finds in a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.console.palette.matching import Match, Rank, match, segments


@pytest.mark.parametrize(
    ("query", "name", "rank"),
    [
        ("churn", "Churn", Rank.EXACT),
        ("CHU", "churn", Rank.PREFIX),
        ("churn-m", "churn-march", Rank.PREFIX),
        ("march", "churn-march_2024", Rank.WORDS),
        ("2024 churn", "churn-march_2024", Rank.WORDS),
        ("tok", "API tokens", Rank.WORDS),
    ],
)
def test_a_name_is_found_by_how_it_or_its_words_begin(query: str, name: str, rank: Rank) -> None:
    found = match(query, name)

    assert found is not None
    assert found.rank is rank


@pytest.mark.parametrize(("query", "name"), [("urn", "churn"), ("churn april", "churn-march"), ("--", "churn--x")])
def test_the_middle_of_a_word_finds_nothing(query: str, name: str) -> None:
    assert match(query, name) is None


def test_other_words_for_it_find_it_and_mark_nothing() -> None:
    assert match("audit", "Trail", "audit log") == Match(Rank.ALIAS, ())
    assert match("api key", "API tokens", "keys") == Match(Rank.ALIAS, ((0, 3),))


def test_a_word_that_was_typed_twice_is_marked_once() -> None:
    assert match("a api", "API tokens") == Match(Rank.WORDS, ((0, 3),))


def test_what_was_typed_is_marked_where_it_stands() -> None:
    found = match("march chu", "churn-March")

    assert found is not None
    assert segments("churn-March", found.spans) == [("chu", True), ("rn-", False), ("March", True)]


def test_letters_that_become_two_do_not_shift_the_marks() -> None:
    found = match("b", "İ b")

    assert found is not None
    assert segments("İ b", found.spans) == [("İ ", False), ("b", True)]


@given(st.text(min_size=1, max_size=12), st.text(max_size=30))
def test_marking_never_changes_the_name(query: str, name: str) -> None:
    found = match(query, name)

    if found:
        assert "".join(text for text, _ in segments(name, found.spans)) == name


@given(st.text(min_size=1, max_size=30))
def test_every_name_is_found_by_itself(name: str) -> None:
    found = match(name, name)

    assert found is not None
    assert found.rank is Rank.EXACT
