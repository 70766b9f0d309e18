"""What limits did lately: each process adds up its decisions and writes the sums to Redis once a second.

Kept for a day by policy and minute, beside it who was refused last. Nobody waits for it, and nothing is decided by it:
what a killed process had not written yet is missing. Imports no Django: the data plane writes too.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import redis
import structlog

from apps.core import live_channel
from apps.ratelimits.rules import Decision, Rule

TOPIC = "limits"
WRITTEN_EVERY_S = 1.0
KEPT_S = 25 * 3600  # a day, and the hour that began before it
MOST_TALLIES = 20_000  # in a process, between two writings
MOST_SUBJECTS = 200  # refused ones, of an organization
LONGEST_SUBJECT = 200
NOW_S = 60
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
FULL = 1000  # thousandths of a limit

# Sums of hours as hashes of "<minute><what>"; the refused by when, and how often each was.
_WRITE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = 4
for hour = 3, #KEYS do
    local minute, least = ARGV[at], tonumber(ARGV[at + 4])
    redis.call('HINCRBY', KEYS[hour], minute .. 'p', ARGV[at + 1])
    redis.call('HINCRBY', KEYS[hour], minute .. 'r', ARGV[at + 2])
    redis.call('HINCRBY', KEYS[hour], minute .. 's', ARGV[at + 3])
    local known = tonumber(redis.call('HGET', KEYS[hour], minute .. 'h'))
    if not known or least < known then redis.call('HSET', KEYS[hour], minute .. 'h', least) end
    redis.call('EXPIRE', KEYS[hour], ARGV[1])
    at = at + 5
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
for who = at, #ARGV, 2 do
    if not redis.call('ZSCORE', KEYS[1], ARGV[who]) then redis.call('HDEL', KEYS[2], ARGV[who]) end
    redis.call('ZADD', KEYS[1], now, ARGV[who])
    redis.call('HINCRBY', KEYS[2], ARGV[who], ARGV[who + 1])
end
local surplus = redis.call('ZRANGE', KEYS[1], 0, -1 - ARGV[2])
for _, who in ipairs(surplus) do
    redis.call('ZREM', KEYS[1], who)
    redis.call('HDEL', KEYS[2], who)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
"""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tally:
    """How many calls passed, were refused, and would have been by a policy in shadow; the least that was left of the
    limit, in thousandths.
    """

    passed: int = 0
    refused: int = 0
    would_refuse: int = 0
    least_headroom: int = FULL

    def add(self, other: Tally) -> None:
        self.passed += other.passed
        self.refused += other.refused
        self.would_refuse += other.would_refuse
        self.least_headroom = min(self.least_headroom, other.least_headroom)


@dataclass(frozen=True, slots=True)
class Minute:
    """What a policy did in the minute that began `at`."""

    at: datetime
    tally: Tally


@dataclass(frozen=True, slots=True)
class Limited:
    """Who was refused by a policy: the values of its subjects in their order, how often of late, when last."""

    policy: str
    subjects: tuple[str, ...]
    refused_count: int
    last_at: datetime


@dataclass(slots=True)
class Sums:
    """What a process has not written yet of one organization."""

    tallies: dict[tuple[str, int], Tally] = field(default_factory=dict)  # by policy and minute
    refused: Counter[str] = field(default_factory=Counter)  # by policy and subject

    def add(self, other: Sums) -> None:
        for place, tally in other.tallies.items():
            self.tallies.setdefault(place, Tally()).add(tally)
        self.refused.update(other.refused)


class Recorder:
    """Adds up decisions, from any thread, and writes them by one of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._lock = threading.Lock()
        self._sums: dict[str, Sums] = {}
        self._room = MOST_TALLIES
        self._writing: threading.Thread | None = None
        self._closing = threading.Event()

    def add(self, organization_id: str, decision: Decision, subjects: Sequence[str]) -> None:
        """Count a decision. `subjects` say of each of its rules for whom it counted."""
        minute = decision.at_ms // MINUTE_MS
        with self._lock:
            if self._writing is None:
                self._start()
            sums = self._sums.get(organization_id)
            if sums is None:
                sums = self._sums[organization_id] = Sums()
            for number, rule in enumerate(decision.rules):
                self._count(sums, decision, number, (rule.policy, minute))
            for number in decision.refusals:
                self._note_refused(sums, decision.rules[number].policy, subjects[number])

    def flush(self) -> None:
        """Write what was added. What Redis did not take is written the next time."""
        with self._lock:
            sums, self._sums, self._room = self._sums, {}, MOST_TALLIES
        if not sums:
            return
        try:
            self._write(sums)
        except redis.RedisError as error:
            log.warning("limits_seen_not_written", error=str(error))
            self._take_back(sums)

    def close(self) -> None:
        self._closing.set()
        if self._writing:
            self._writing.join()

    def _start(self) -> None:
        self._writing = threading.Thread(target=self._run, name="limits-seen", daemon=True)
        self._writing.start()

    def _run(self) -> None:
        while not self._closing.wait(WRITTEN_EVERY_S):
            self.flush()
        self.flush()

    def _count(self, sums: Sums, decision: Decision, number: int, place: tuple[str, int]) -> None:
        tally = sums.tallies.get(place)
        if tally is None:
            if not self._room:
                return
            self._room -= 1
            tally = sums.tallies[place] = Tally()
        rule, verdict = decision.rules[number], decision.verdicts[number]
        if rule.is_shadow and not verdict.is_allowed:
            tally.would_refuse += 1
        elif not verdict.is_allowed:
            tally.refused += 1
        elif decision.is_allowed:
            tally.passed += 1
        tally.least_headroom = min(tally.least_headroom, _headroom(rule, verdict.remaining))

    def _note_refused(self, sums: Sums, policy: str, subject: str) -> None:
        who = f"{policy}\t{subject[:LONGEST_SUBJECT]}"
        if who in sums.refused or len(sums.refused) < MOST_SUBJECTS:
            sums.refused[who] += 1

    def _take_back(self, sums: dict[str, Sums]) -> None:
        """Keep what could not be written, as far as there is room."""
        with self._lock:
            for organization_id, unwritten in sums.items():
                self._room -= len(unwritten.tallies)
                if self._room < 0:
                    break
                self._sums.setdefault(organization_id, Sums()).add(unwritten)
            self._room = max(0, self._room)

    def _write(self, sums: dict[str, Sums]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for organization_id, added in sums.items():
                keys, arguments = _writing_of(organization_id, added)
                pipe.eval(_WRITE, len(keys), *keys, *arguments)
            pipe.execute()
        for organization_id, added in sums.items():
            if added.refused:
                live_channel.publish_raw(self._redis, organization_id, TOPIC)


def limited_now(organization_id: Any, within_s: int = NOW_S) -> list[Limited]:
    """Who was refused in the last `within_s` seconds (an hour at most), the latest first."""
    client, since_ms = _client(), time.time() * 1000 - within_s * 1000
    found: Any = client.zrevrangebyscore(_refused(organization_id), "+inf", since_ms, withscores=True)
    if not found:
        return []
    counts: Any = client.hmget(_refusals(organization_id), [who for who, _ in found])
    return [_limited(who, at_ms, count) for (who, at_ms), count in zip(found, counts, strict=True)]


def over_time(organization_id: Any, policy: str, since: datetime) -> list[Minute]:
    """The minutes since then, a day ago at most, in which the policy met a call; the oldest first."""
    return _minutes(organization_id, [policy], since)[policy]


def totals(organization_id: Any, policies: Iterable[str], since: datetime) -> dict[str, Tally]:
    """What each policy did since then. One that met no call is told with nothing."""
    sums = {}
    for policy, minutes in _minutes(organization_id, list(policies), since).items():
        sums[policy] = Tally()
        for minute in minutes:
            sums[policy].add(minute.tally)
    return sums


def _minutes(organization_id: Any, policies: Sequence[str], since: datetime) -> dict[str, list[Minute]]:
    first, last = int(since.timestamp() * 1000), int(time.time() * 1000)
    hours = range(max(first // HOUR_MS, (last - KEPT_S * 1000) // HOUR_MS), last // HOUR_MS + 1)
    with _client().pipeline(transaction=False) as pipe:
        for policy in policies:
            for hour in hours:
                pipe.hgetall(_hour(organization_id, policy, hour))
        hashes = iter(pipe.execute())
    found: dict[str, list[Minute]] = {}
    for policy in policies:
        minutes = [minute for hour in hours for minute in _minutes_of(hour, next(hashes))]
        found[policy] = [minute for minute in minutes if minute.at.timestamp() * 1000 > first - MINUTE_MS]
    return found


def _minutes_of(hour: int, fields: dict[bytes, bytes]) -> list[Minute]:
    numbers = sorted({int(name[:-1]) for name in fields})
    return [_minute(hour, number, fields) for number in numbers]


def _minute(hour: int, number: int, fields: dict[bytes, bytes]) -> Minute:
    passed, refused, would, least = (int(fields.get(b"%d%c" % (number, what), 0)) for what in b"prsh")
    return Minute(datetime.fromtimestamp(hour * 3600 + number * 60, UTC), Tally(passed, refused, would, least))


def _limited(who: bytes, at_ms: float, count: bytes | None) -> Limited:
    policy, *subjects = who.decode().split("\t")
    return Limited(policy, tuple(subjects), int(count or 0), datetime.fromtimestamp(at_ms / 1000, UTC))


def _headroom(rule: Rule, remaining: int) -> int:
    most = rule.burst or rule.limit
    return max(0, min(FULL, remaining * FULL // most))


def _writing_of(organization_id: str, sums: Sums) -> tuple[list[str], list[Any]]:
    keys = [_refused(organization_id), _refusals(organization_id)]
    arguments: list[Any] = [KEPT_S, MOST_SUBJECTS, HOUR_MS]
    for (policy, minute), tally in sums.tallies.items():
        keys.append(_hour(organization_id, policy, minute // 60))
        arguments += [minute % 60, tally.passed, tally.refused, tally.would_refuse, tally.least_headroom]
    for who, count in sums.refused.items():
        arguments += [who, count]
    return keys, arguments


def _hour(organization_id: Any, policy: str, hour: int) -> str:
    return f"limits:{{{organization_id}}}:seen:{policy}:{hour}"


def _refused(organization_id: Any) -> str:
    return f"limits:{{{organization_id}}}:refused"


def _refusals(organization_id: Any) -> str:
    return f"limits:{{{organization_id}}}:refusals"


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=1, socket_connect_timeout=1)
