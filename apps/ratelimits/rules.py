"""The limiter's vocabulary: rules go in, a decision comes out. Imports no Django: the data plane asks too.

All times are whole milliseconds, all quantities whole numbers of what a rule counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# Redis' Lua counts in doubles, exact below 2 ** 53.
MOST_UNITS = 2**52
LONGEST_MS = 2**42


class Algorithm(StrEnum):
    GCRA = "gcra"
    WINDOW = "window"
    LEASES = "leases"


class Away(StrEnum):
    """What becomes of a call while Redis cannot be asked."""

    LOCAL = "local"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit for one subject. `key` is where its state is kept: a fixed word, the organization in braces, then what
    names policy and subject; the engine adds the algorithm. The keys of one call differ.

    `limit` is 1 to 10^12, `window_ms` a second to 31 days, `cost`, what the call is expected to take, 0 to 10^12.
    `gcra` lets through `burst` at once and `limit` a window, `window` never more than `limit` in any window. A rule of
    leases holds one of `limit` places for `window_ms` at most, whatever the cost.
    A rule that `is_shadow` is counted and told of, and refuses nothing.

    The first `stem` characters of `key`, ASCII, are the same for all subjects of the policy. Of these `most_subjects`
    have a state of their own at any time; who comes when there are so many shares the state of some others.
    Without a stem there is no such bound.
    """

    key: str
    policy: str
    algorithm: Algorithm
    limit: int
    window_ms: int
    burst: int
    cost: int = 1
    is_shadow: bool = False
    away: Away = Away.LOCAL
    stem: int = 0
    most_subjects: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule says. After a refusal `retry_after_ms` is when the same call would pass, if nobody else calls; -1
    when it never would. `reset_after_ms` is when all of the limit is free again. Both are at most 2^42.
    """

    is_allowed: bool
    remaining: int
    retry_after_ms: int
    reset_after_ms: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What all rules of a call say together; if any refuses, nothing was taken from any.

    `id` names what was taken, for `settle` and `release`; `at_ms` is the limiter's clock.
    """

    id: str
    at_ms: int
    rules: Sequence[Rule]
    verdicts: Sequence[Verdict]
    is_local: bool = False
    refusals: list[int] = field(default_factory=list)

    @property
    def is_allowed(self) -> bool:
        return not self.refusals
