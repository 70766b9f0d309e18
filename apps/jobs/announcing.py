"""Telling pages of changes a few times a second, so that a thousand short jobs do not mean a thousand messages each."""

from __future__ import annotations

import threading
from uuid import UUID

from apps.core import live


class Announcements:
    """What changed and was not told yet. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[tuple[UUID, str], None] = {}
        self.waiting = threading.Event()

    def add(self, organization_id: UUID, *topics: str) -> None:
        with self._lock:
            for topic in topics:
                # A topic moves to the end: it is told after what changed before it did again.
                self._topics.pop((organization_id, topic), None)
                self._topics[organization_id, topic] = None
        self.waiting.set()

    def flush(self) -> None:
        with self._lock:
            topics, self._topics = self._topics, {}
            self.waiting.clear()
        if topics:
            live.publish_at_once(list(topics))


announcements = Announcements()
