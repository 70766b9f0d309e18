"""Streams of events, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.dialects import sse

STREAM = (
    b"\xef\xbb\xbfdata: one\n\n: a comment\n\nevent: two\r\ndata: a\r\ndata: b\r\n\r\ndata:three\r\rdata: [DONE]\n\n"
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_however_a_stream_is_cut_its_events_and_bytes_are_the_same(cuts: list[int]) -> None:
    parser, found, places = sse.Parser(), [], [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(places):
        found += parser.feed(STREAM[start:end])
    assert b"".join(event.raw for event in found) == STREAM
    told = [(event.name, event.data) for event in found if event.data]
    assert told == [("", b"one"), ("two", b"a\nb"), ("", b"three"), ("", b"[DONE]")]
    assert found[-1].is_done
    assert parser.is_between


def test_an_event_that_does_not_end_is_malformed() -> None:
    with pytest.raises(sse.Malformed):
        sse.Parser().feed(b"data: " + b"x" * sse.MOST_EVENT_BYTES)
