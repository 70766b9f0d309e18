"""How much each process lets through while Redis is away, also one that starts meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from apps.ratelimits import peers
from apps.ratelimits.local import Local
from apps.ratelimits.peers import Peers
from tests.edge.plane import PrivateValkey
from tests.ratelimits.rules import rule


def passed(local: Local) -> int:
    call = rule(limit=12, burst=12, window_ms=3_600_000)
    return sum(local.decide([call], str(number)).is_allowed for number in range(20))


def test_a_process_that_starts_while_redis_is_away_takes_the_share_that_was_known_last(
    valkey: PrivateValkey, tmp_path: Path
) -> None:
    folder = tmp_path / "peers"
    for _ in range(4):
        Peers("predictions", Local(), folder).tell(valkey.client)
    valkey.kill()
    local = Local()
    started = Peers("predictions", local, folder)
    with pytest.raises(redis.RedisError):
        started.tell(valkey.client)
    assert passed(local) == 12 // 4


def test_one_that_never_heard_how_many_there_are_does_not_take_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "EXPECTED", 3)
    local = Local()
    Peers("predictions", local, tmp_path)
    assert passed(local) == 12 // 3


@pytest.mark.parametrize("text", ["", "-1", "many"])
def test_a_file_that_tells_nothing_does_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "api").write_text(text)
    local: Any = Local()
    Peers("api", local, tmp_path)
    assert 1 <= local.processes <= peers.EXPECTED
