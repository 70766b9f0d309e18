"""Tells open pages that their organization's usage or calls changed, at most once a second for each topic."""

from __future__ import annotations

import redis

from apps.core.live_channel import publish_raw

INTERVAL_S = 1.0

Bell = tuple[str, str]  # organization, topic


class Doorbell:
    def __init__(self) -> None:
        self._waiting: set[Bell] = set()
        self._rung_at: dict[Bell, float] = {}

    def touch(self, bells: set[Bell]) -> None:
        self._waiting |= bells

    def ring(self, client: redis.Redis, now: float) -> None:
        """Ring what was touched and has been silent for the interval; the rest waits for a later call."""
        self._rung_at = {bell: at for bell, at in self._rung_at.items() if now - at < INTERVAL_S}
        due = self._waiting - self._rung_at.keys()
        for organization_id, topic in sorted(due):
            publish_raw(client, organization_id, topic)
        self._rung_at.update(dict.fromkeys(due, now))
        self._waiting -= due
