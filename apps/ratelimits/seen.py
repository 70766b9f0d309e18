"""What limits did lately: each process adds up its decisions and writes the sums to Redis once a second.

Kept for a day by policy and minute, beside it who was refused last. Nobody waits for it, and nothing is decided by it:
what a killed process had not written yet is missing. Imports no Django: the data plane writes too.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis
import structlog

from apps.core import live_channel
from apps.ratelimits.peers import Peers
from apps.ratelimits.rules import Decision, Rule

TOPIC = "limits"
WRITTEN_EVERY_S = 1.0
KEPT_S = 25 * 3600  # a day, and the hour that began before it
MOST_COUNTS = 20_000  # in a process, between two writings
MOST_SUBJECTS = 200  # refused ones, of an organization
LONGEST_SUBJECT = 200
NOW_S = 60
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
FULL = 1000  # thousandths of a limit
WHERE = "limits:where"  # organizations by when somebody was refused there

# Sums of hours as hashes of "<minute><what>", which policies there are, who was refused by when, and how often.
_WRITE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local refused, refusals, policies = KEYS[1], KEYS[2], KEYS[3]
local kept_s, most, peace_ms = ARGV[1], ARGV[2], ARGV[3]
local at = 4
for hour = 4, #KEYS do
    local minute, least = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 5])
    local field = minute % 60
    redis.call('ZADD', policies, 'GT', minute, ARGV[at])
    redis.call('HINCRBY', KEYS[hour], field .. 'p', ARGV[at + 2])
    redis.call('HINCRBY', KEYS[hour], field .. 'r', ARGV[at + 3])
    redis.call('HINCRBY', KEYS[hour], field .. 's', ARGV[at + 4])
    local known = tonumber(redis.call('HGET', KEYS[hour], field .. 'h'))
    if not known or least < known then redis.call('HSET', KEYS[hour], field .. 'h', least) end
    redis.call('EXPIRE', KEYS[hour], kept_s)
    at = at + 6
end
redis.call('ZREMRANGEBYRANK', policies, 0, -1 - most)
redis.call('EXPIRE', policies, kept_s)
if at > #ARGV then return end
redis.call('ZREMRANGEBYSCORE', refused, '-inf', now - peace_ms)
for who = at, #ARGV, 2 do
    if not redis.call('ZSCORE', refused, ARGV[who]) then redis.call('HDEL', refusals, ARGV[who]) end
    redis.call('ZADD', refused, now, ARGV[who])
    redis.call('HINCRBY', refusals, ARGV[who], ARGV[who + 1])
end
for _, who in ipairs(redis.call('ZRANGE', refused, 0, -1 - most)) do
    redis.call('ZREM', refused, who)
end
for _, who in ipairs(redis.call('HKEYS', refusals)) do
    if not redis.call('ZSCORE', refused, who) then redis.call('HDEL', refusals, who) end
end
redis.call('PEXPIRE', refused, peace_ms)
redis.call('PEXPIRE', refusals, peace_ms)
"""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counts:
    """What a policy decided in a minute or longer. `would_refuse` is what a shadow policy let pass and counted.

    `least_headroom` is the smallest share of the limit that was left, from 0 to 1; None when nobody called.
    """

    passed: int = 0
    refused: int = 0
    would_refuse: int = 0
    least_headroom: float | None = None

    def note_headroom(self, share: float | None) -> None:
        if share is not None and (self.least_headroom is None or share < self.least_headroom):
            self.least_headroom = share

    def add(self, other: Counts) -> None:
        self.passed += other.passed
        self.refused += other.refused
        self.would_refuse += other.would_refuse
        self.note_headroom(other.least_headroom)


@dataclass(frozen=True, slots=True)
class Minute:
    at: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class Limited:
    """Somebody whom a policy refused in the last minute. `subject` as in `matching.Matched.subjects`.

    `refused` is how often, since they were last left in peace for an hour.
    """

    policy: str
    subject: str
    refused: int
    last_at: datetime


@dataclass(slots=True)
class Sums:
    """What a process has not written yet of one organization."""

    counts: dict[tuple[str, int], Counts] = field(default_factory=dict)  # by policy and minute
    refused: Counter[str] = field(default_factory=Counter)  # by policy and subject

    def add(self, other: Sums) -> None:
        for place, count in other.counts.items():
            self.counts.setdefault(place, Counts()).add(count)
        for who, number in other.refused.items():
            self.note_refused(who, number)

    def note_refused(self, who: str, number: int = 1) -> None:
        if who in self.refused or len(self.refused) < MOST_SUBJECTS:
            self.refused[who] += number


class Recorder:
    """Adds up decisions, from any thread, and writes them by one of its own."""

    def __init__(self, client: redis.Redis, peers: Peers | None = None) -> None:
        self._redis, self._peers = client, peers
        self._lock = threading.Lock()
        self._sums: dict[str, Sums] = {}
        self._room = MOST_COUNTS
        self._writing: threading.Thread | None = None
        self._closing = threading.Event()

    def add(self, organization_id: str, decision: Decision, subjects: Sequence[str]) -> None:
        """Count a decision. `subjects` say of each of its rules for whom it counted."""
        if not decision.rules:
            return
        minute = decision.at_ms // MINUTE_MS
        with self._lock:
            self._start()
            sums = self._sums.get(organization_id)
            if sums is None:
                sums = self._sums[organization_id] = Sums()
            for number, rule in enumerate(decision.rules):
                self._count(sums, decision, number, (rule.policy, minute))
            for number in decision.refusals:
                sums.note_refused(f"{decision.rules[number].policy}\t{subjects[number][:LONGEST_SUBJECT]}")

    def flush(self) -> None:
        """Write what was added. What Redis did not take is written the next time."""
        with self._lock:
            sums, self._sums, self._room = self._sums, {}, MOST_COUNTS
        if not sums:
            return
        try:
            self._write(sums)
        except redis.RedisError as error:
            log.warning("limits_seen_not_written", error=str(error))
            self._take_back(sums)
            return
        with suppress(redis.RedisError):  # the pages hear of it a second later
            self._ring(sums)

    def close(self) -> None:
        self._closing.set()
        if self._writing:
            self._writing.join()

    def start(self) -> None:
        """Begin before the first decision, so that the peers are known by then."""
        with self._lock:
            self._start()

    def _start(self) -> None:
        if self._writing is None:
            self._writing = threading.Thread(target=self._run, name="limits-seen", daemon=True)
            self._writing.start()

    def _run(self) -> None:
        self._tell_peers()
        while not self._closing.wait(WRITTEN_EVERY_S):
            self.flush()
            self._tell_peers()
        self.flush()

    def _tell_peers(self) -> None:
        if self._peers:
            with suppress(redis.RedisError):  # as many as there were
                self._peers.tell(self._redis)

    def _count(self, sums: Sums, decision: Decision, number: int, place: tuple[str, int]) -> None:
        count = sums.counts.get(place)
        if count is None:
            if not self._room:
                return
            self._room -= 1
            count = sums.counts[place] = Counts()
        rule, verdict = decision.rules[number], decision.verdicts[number]
        if rule.is_shadow and not verdict.is_allowed:
            count.would_refuse += 1
        elif not verdict.is_allowed:
            count.refused += 1
        elif decision.is_allowed:
            count.passed += 1
        if not decision.is_local:  # there a process knows of its share alone
            count.note_headroom(_headroom(rule, verdict.remaining))

    def _take_back(self, sums: dict[str, Sums]) -> None:
        """Keep what could not be written, as far as there is room."""
        with self._lock:
            for organization_id, unwritten in sums.items():
                self._room -= len(unwritten.counts)
                if self._room < 0:
                    break
                self._sums.setdefault(organization_id, Sums()).add(unwritten)
            self._room = max(0, self._room)

    def _write(self, sums: dict[str, Sums]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for organization_id, added in sums.items():
                keys, arguments = _writing_of(organization_id, added)
                pipe.eval(_WRITE, len(keys), *keys, *arguments)
            if where := [organization_id for organization_id, added in sums.items() if added.refused]:
                now_s = time.time()
                pipe.zadd(WHERE, dict.fromkeys(where, now_s))
                pipe.zremrangebyscore(WHERE, "-inf", now_s - NOW_S)
            pipe.execute()

    def _ring(self, sums: dict[str, Sums]) -> None:
        for organization_id, added in sums.items():
            if added.refused:
                live_channel.publish_raw(self._redis, organization_id, TOPIC)


def limited_now(client: redis.Redis, organization_id: Any) -> list[Limited]:
    """Who was refused within the last minute, those refused most first."""
    return limited_anywhere(client, [organization_id]).get(organization_id, [])


def where_limited(client: redis.Redis, most: int) -> list[str]:
    """The ids of organizations where somebody was refused within the last minute, those of the last moment first."""
    found: Any = client.zrange(WHERE, "+inf", time.time() - NOW_S, desc=True, byscore=True, offset=0, num=most)
    return [organization_id.decode() for organization_id in found]


def limited_anywhere(client: redis.Redis, organization_ids: Sequence[Any]) -> dict[Any, list[Limited]]:
    """The same of several organizations in two round trips, without those where nobody was refused."""
    since_ms = (time.time() - NOW_S) * 1000
    with client.pipeline(transaction=False) as pipe:
        for organization_id in organization_ids:
            pipe.zrangebyscore(_refused(organization_id), since_ms, "+inf", withscores=True)
        found = {one: who for one, who in zip(organization_ids, pipe.execute(), strict=True) if who}
        for organization_id, refused in found.items():
            pipe.hmget(_refusals(organization_id), [who for who, _ in refused])
        counts = pipe.execute()
    return {one: _most_first(refused, counted) for (one, refused), counted in zip(found.items(), counts, strict=True)}


def over_time(client: redis.Redis, organization_id: Any, policy: str, since: datetime) -> list[Minute]:
    """The minutes since then, a day ago at most, in which the policy decided, in their order."""
    return _minutes(client, organization_id, [policy], since)[policy]


def summed(client: redis.Redis, organization_id: Any, since: datetime) -> Mapping[str, Counts]:
    """What each policy that met a call since then decided, by its id."""
    seen: Any = client.zrangebyscore(_policies(organization_id), int(since.timestamp()) // 60, "+inf")
    sums = {}
    for policy, minutes in _minutes(client, organization_id, [policy.decode() for policy in seen], since).items():
        sums[policy] = Counts()
        for minute in minutes:
            sums[policy].add(minute.counts)
    return sums


def _minutes(
    client: redis.Redis, organization_id: Any, policies: Sequence[str], since: datetime
) -> dict[str, list[Minute]]:
    now_s = int(time.time())
    first = max(int(since.timestamp()), now_s - KEPT_S)
    hours = range(first // 3600, now_s // 3600 + 1)
    with client.pipeline(transaction=False) as pipe:
        for policy in policies:
            for hour in hours:
                pipe.hgetall(_hour(organization_id, policy, hour))
        hashes = iter(pipe.execute())
    since_minute = datetime.fromtimestamp(first // 60 * 60, UTC)
    return {
        policy: [minute for hour in hours for minute in _minutes_of(hour, next(hashes)) if minute.at >= since_minute]
        for policy in policies
    }


def _minutes_of(hour: int, fields: dict[bytes, bytes]) -> list[Minute]:
    numbers = sorted({int(name[:-1]) for name in fields})
    return [_minute(hour, number, fields) for number in numbers]


def _minute(hour: int, number: int, fields: dict[bytes, bytes]) -> Minute:
    passed, refused, would, least = (int(fields.get(b"%d%c" % (number, what), 0)) for what in b"prsh")
    at = datetime.fromtimestamp(hour * 3600 + number * 60, UTC)
    return Minute(at, Counts(passed, refused, would, least / FULL))


def _most_first(refused: Sequence[tuple[bytes, float]], counts: Sequence[bytes | None]) -> list[Limited]:
    limited = [_limited(who, at_ms, count) for (who, at_ms), count in zip(refused, counts, strict=True)]
    return sorted(limited, key=lambda one: one.refused, reverse=True)


def _limited(who: bytes, at_ms: float, count: bytes | None) -> Limited:
    policy, _, subject = who.decode().partition("\t")
    return Limited(policy, subject, int(count or 0), datetime.fromtimestamp(at_ms / 1000, UTC))


def _headroom(rule: Rule, remaining: int) -> float:
    return max(0.0, min(1.0, remaining / (rule.burst or rule.limit)))


def _writing_of(organization_id: str, sums: Sums) -> tuple[list[str], list[Any]]:
    keys = [_refused(organization_id), _refusals(organization_id), _policies(organization_id)]
    arguments: list[Any] = [KEPT_S, MOST_SUBJECTS, HOUR_MS]
    for (policy, minute), count in sums.counts.items():
        keys.append(_hour(organization_id, policy, minute // 60))
        least = FULL if count.least_headroom is None else round(count.least_headroom * FULL)
        arguments += [policy, minute, count.passed, count.refused, count.would_refuse, least]
    for who, number in sums.refused.items():
        arguments += [who, number]
    return keys, arguments


def _hour(organization_id: Any, policy: str, hour: int) -> str:
    return f"limits:{{{organization_id}}}:seen:{policy}:{hour}"


def _refused(organization_id: Any) -> str:
    return f"limits:{{{organization_id}}}:refused"


def _refusals(organization_id: Any) -> str:
    return f"limits:{{{organization_id}}}:refusals"


def _policies(organization_id: Any) -> str:
    return f"limits:{{{organization_id}}}:policies"
