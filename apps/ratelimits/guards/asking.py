"""How the control plane asks the guards."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from apps.core import snapshots
from apps.ratelimits import asking
from apps.ratelimits.guards.known import INSTALLATION, Watched, in_force
from apps.ratelimits.headers import seconds
from apps.ratelimits.matching import Asked, Matched, rules_for
from apps.ratelimits.rules import Decision


@dataclass(frozen=True, slots=True)
class Asking:
    """What the guards said of something that was tried."""

    matched: Matched
    decision: Decision

    @property
    def wait_s(self) -> int:
        """After how many seconds another try passes."""
        return max(seconds(self.decision.verdicts[number].retry_after_ms) for number in self.decision.refusals)

    def take_back(self) -> None:
        """It is not to count."""
        asking.limiter().release(self.decision, was_made=False)


def ask(watched: Watched, address: str, account: str = "", method: str = "", path: str = "") -> Asking:
    """Count something that was tried, unless a guard refuses it."""
    matched = _matched(watched, address, account, method, path)
    return Asking(matched, asking.decide(INSTALLATION, matched))


def forget(watched: Watched, account: str) -> None:
    """Begin anew with what was counted for an account."""
    asking.limiter().forget(_matched(watched, "", account).rules)


def _matched(watched: Watched, address: str, account: str, method: str = "", path: str = "") -> Matched:
    guards = in_force(snapshots.read(snapshots.INSTALLATION))
    asked = Asked(INSTALLATION, watched, method, path, address=address, user=account and _hidden(account))
    return rules_for(guards, asked)


def _hidden(account: str) -> str:
    """Redis needs not know who tried."""
    return hashlib.blake2b(account.strip().lower().encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
