"""Operators see what could not be stored, replay it once, or give it up with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client

from apps.console.dead import services
from apps.console.status import probes
from apps.core import dead_letters
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "console"])

PAGE = "/admin/dead-letters/"
STREAM = "events:usage"


@pytest.fixture
def redis() -> Iterator[Any]:
    client = probes.client()
    client.delete(dead_letters.STREAM, dead_letters.COUNTS, STREAM)
    client.xgroup_create(STREAM, "sink", mkstream=True)
    yield client
    client.delete(dead_letters.STREAM, dead_letters.COUNTS, STREAM)


@pytest.fixture
def console() -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def bury(redis: Any, event: bytes, reason: str = "field `id`: wrong") -> str:
    entry = redis.xadd(STREAM, {"e": event})
    redis.xreadgroup("sink", "reader", {STREAM: ">"})
    dead_letters.bury(redis, "sink", STREAM, (entry, 1), [(event, reason)])
    return next(dead_letters.letters(redis)).id


def events(redis: Any) -> list[bytes]:
    return [fields[b"e"] for _, fields in redis.xrange(STREAM)]


def test_burying_moves_an_event_and_a_full_stream_takes_no_more(redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bury(redis, b"{}")
    assert (dead_letters.count(redis), events(redis)) == (1, [])
    monkeypatch.setattr(dead_letters, "MOST", 1)
    with pytest.raises(dead_letters.Full):
        bury(redis, b"[]")
    assert (dead_letters.count(redis), events(redis)) == (1, [b"[]"]), "it waits in its stream"


def test_the_page_shows_reason_and_event_without_secrets(redis: Any, console: Client) -> None:
    bury(redis, json.dumps({"meter": "a b", "dimensions": {"password": "hunter2"}}).encode(), "field `meter`: no")
    bury(redis, b"not <json> Bearer abcdefghijkl")
    page = console.get(PAGE).content.decode()
    assert "field `meter`: no" in page
    assert "hunter2" not in page
    assert "not &lt;json&gt;" in page
    assert "abcdefghijkl" not in page
    filtered = console.get(PAGE, {"stream": STREAM, "reason": "field `meter`: no"})
    assert len(filtered.context["letters"]) == 1


def test_they_are_counted_without_being_read_and_shown_a_page_at_a_time(
    redis: Any, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE_SIZE", 2)
    for number in range(5):
        bury(redis, str(number).encode(), "rare" if number == 0 else "often")
    assert dead_letters.counts(redis) == [(STREAM, "often", 4), (STREAM, "rare", 1)]
    shown, before = [], ""
    while before is not None:
        page = console.get(PAGE, {"before": before})
        shown.append([letter.event for letter, _ in page.context["letters"]])
        before = page.context["before"]
    assert shown == [[b"4", b"3"], [b"2", b"1"], [b"0"]]
    assert "All 4 with this reason" in " ".join(console.get(PAGE, {"reason": "often"}).content.decode().split())
    with monkeypatch.context() as unread:
        unread.setattr(dead_letters, "_entries", lambda *arguments: pytest.fail("The letters were read."))
        assert sum(number for _, _, number in dead_letters.counts(redis)) == 5


def test_what_is_looked_for_in_vain_reads_a_bounded_number_and_says_where_to_look_on(
    redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "CHUNK", 2)
    monkeypatch.setattr(dead_letters, "LOOKED_AT", 1)
    ids = [bury(redis, str(number).encode(), "rare" if number == 0 else "often") for number in range(3)]
    page = dead_letters.page(redis, reason="rare")
    assert (page.letters, page.before) == ([], ids[1])
    assert [letter.id for letter in dead_letters.page(redis, reason="rare", before=ids[1]).letters] == [ids[0]]


def test_counts_go_with_the_letters_and_are_made_anew_if_they_do_not_add_up(redis: Any) -> None:
    first, second, third = (bury(redis, b"{}", reason) for reason in ("a", "a", "b"))
    services.replay(dead_letters.found(redis, [first]), by=None)
    services.discard(dead_letters.found(redis, [third]), "old", by=None)
    assert redis.hgetall(dead_letters.COUNTS) == {f"{STREAM}\ta".encode(): b"1"}
    redis.xdel(dead_letters.STREAM, second)
    assert dead_letters.counts(redis) == []
    bury(redis, b"{}", "b")
    redis.delete(dead_letters.COUNTS)
    assert dead_letters.counts(redis) == [(STREAM, "b", 1)]


def test_a_letter_is_replayed_once_whoever_asks_twice(redis: Any, console: Client) -> None:
    letter = bury(redis, b"{}")
    for _ in range(2):
        assert console.post(PAGE, {"act": "replay", "letter": letter}).status_code == 302
    assert (dead_letters.count(redis), events(redis)) == (0, [b"{}"])
    assert LogEntry.objects.get().change_message == "1 replayed"


def test_all_of_a_reason_are_replayed_and_the_others_stay(redis: Any, console: Client) -> None:
    for number in range(3):
        bury(redis, str(number).encode(), "first")
    bury(redis, b"other", "second")
    console.post(f"{PAGE}?reason=first", {"act": "replay", "all": "1"})
    assert sorted(events(redis)) == [b"0", b"1", b"2"]
    assert [letter.event for letter in dead_letters.letters(redis)] == [b"other"]


def test_discarding_needs_a_reason_and_leaves_it_in_the_history(redis: Any, console: Client) -> None:
    letter = bury(redis, b"{}")
    console.post(PAGE, {"act": "discard", "letter": letter})
    assert dead_letters.count(redis) == 1
    console.post(PAGE, {"act": "discard", "letter": letter, "reason": "from a test client"})
    assert (dead_letters.count(redis), events(redis)) == (0, [])
    assert LogEntry.objects.get().change_message == "1 discarded: from a test client"


def test_nobody_but_an_operator_sees_them(redis: Any, as_owner: Client) -> None:
    bury(redis, b"{}")
    assert as_owner.get(PAGE).status_code in (302, 403, 404)
    assert as_owner.post(PAGE, {"act": "replay", "all": "1"}).status_code in (302, 403, 404)
    assert dead_letters.count(redis) == 1


def test_the_command_does_the_same(redis: Any) -> None:
    first, second = bury(redis, b"1"), bury(redis, b"2")
    out = StringIO()
    call_command("dead_letters", "list", stdout=out)
    assert first in out.getvalue()
    call_command("dead_letters", "replay", first, stdout=out)
    with pytest.raises(CommandError, match="--why"):
        call_command("dead_letters", "discard", second)
    with pytest.raises(CommandError, match="--all"):
        call_command("dead_letters", "replay")
    call_command("dead_letters", "discard", "--all", "--why", "old", stdout=out)
    assert (dead_letters.count(redis), events(redis)) == (0, [b"1"])


def test_the_operators_first_page_and_the_probe_tell_of_streams_that_fill(
    redis: Any, console: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(redis, b"{}")
    assert "Events not stored" in console.get("/admin/").content.decode()
    monkeypatch.setattr(dead_letters, "MOST", 2)
    assert "half full" in console.get("/admin/").content.decode()
    with pytest.raises(probes.ProbeFailed, match="filling"):
        probes._usage()
