"""Places that are held: at most `limit` at once, each for `window_ms` unless its holder extends or releases it."""

from __future__ import annotations

from typing import NamedTuple

from apps.ratelimits.rules import LONGEST_MS, Rule


class Lease(NamedTuple):
    ends_at_ms: int
    id: str


Leases = tuple[Lease, ...]


def aged(leases: Leases | None, rule: Rule, now_ms: int) -> Leases:
    """Those that have not ended, the next to end first. None lasts longer than one that is taken now."""
    latest = now_ms + rule.window_ms
    return tuple(
        sorted(Lease(min(lease.ends_at_ms, latest), lease.id) for lease in leases or () if lease.ends_at_ms > now_ms)
    )


def is_stale(leases: Leases, rule: Rule, now_ms: int) -> bool:
    return any(not now_ms < lease.ends_at_ms <= now_ms + rule.window_ms for lease in leases)


def wait_ms(leases: Leases, rule: Rule, now_ms: int) -> int:
    excess = len(leases) + 1 - rule.limit
    return min(LONGEST_MS, leases[excess - 1].ends_at_ms - now_ms) if excess > 0 else 0


def remaining(leases: Leases, rule: Rule) -> int:
    return max(0, rule.limit - len(leases))


def reset_after_ms(leases: Leases, rule: Rule, now_ms: int) -> int:
    return min(LONGEST_MS, leases[-1].ends_at_ms - now_ms) if leases else 0


def taken(leases: Leases, rule: Rule, now_ms: int, id: str) -> Leases:
    return tuple(sorted((*released(leases, id), Lease(now_ms + rule.window_ms, id))))


def released(leases: Leases, id: str) -> Leases:
    return tuple(lease for lease in leases if lease.id != id)
