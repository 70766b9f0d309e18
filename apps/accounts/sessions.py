"""The session engine (SESSION_ENGINE): a dump of the database neither lets anybody in nor tells what a session holds.

The cookie's key is nowhere in the database, only its keyed hash; the content is sealed and bound to that hash, so that
it cannot be moved to another session. Who, from where and with what, is told in the open for the person's own list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apps.accounts.models import Session
from apps.core.sealing import Unsealable, seal, unseal

SEEN_EVERY = timedelta(minutes=1)


def key_hash(session_key: str) -> str:
    return salted_hmac("modelyard session", session_key, algorithm="sha256").hexdigest()


class SessionStore(SessionBase):
    """Django's contract over `accounts.Session`. `visit` is set where a request is known: `accounts.middleware`."""

    visit: Mapping[str, str] = {}

    def load(self) -> dict[str, Any]:
        row = self._rows().filter(expires_at__gt=timezone.now()).first() if self.session_key else None
        content = self._opened(row) if row else None
        if row is None or content is None:
            # Never adopt a key that we did not give out: that would let one person plant another's session.
            self._session_key = None
            return {}
        self._note_visit(row)
        return content

    def exists(self, session_key: str) -> bool:
        return Session.objects.filter(key_hash=key_hash(session_key)).exists()

    def create(self) -> None:
        while True:
            self._session_key = self._get_new_session_key()  # type: ignore[attr-defined]
            try:
                self.save(must_create=True)
            except CreateError:
                continue
            self.modified = True
            return

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return self.create()
        content = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        if self.session_key is None:
            raise UpdateError
        values = {
            "content": seal(self.serializer().dumps(content), _place(key_hash(self.session_key))),
            "user_id": content.get(SESSION_KEY),
            "expires_at": self.get_expiry_date(),
        }
        if must_create:
            return self._insert(values)
        if not self._rows().update(**values):
            raise UpdateError
        return None

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            Session.objects.filter(key_hash=key_hash(key)).delete()

    @classmethod
    def clear_expired(cls) -> None:
        Session.objects.filter(expires_at__lte=timezone.now()).delete()

    def _rows(self) -> QuerySet[Session]:
        return Session.objects.filter(key_hash=key_hash(self.session_key or ""))

    def _insert(self, values: dict[str, Any]) -> None:
        hashed_key = key_hash(self.session_key or "")
        row = Session(key_hash=hashed_key, last_seen_at=timezone.now(), **values, **self.visit)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            raise CreateError from None

    def _opened(self, row: Session) -> dict[str, Any] | None:
        """The content; None when it was sealed with another SECRET_KEY or moved here from another session."""
        try:
            content: dict[str, Any] = self.serializer().loads(unseal(bytes(row.content), _place(row.key_hash)))
        except Unsealable:
            return None
        return content

    def _note_visit(self, row: Session) -> None:
        now = timezone.now()
        is_first = not row.address and self.visit.get("address")
        if self.visit and (is_first or row.last_seen_at < now - SEEN_EVERY):
            self._rows().update(last_seen_at=now, **self.visit)


def _place(hashed_key: str) -> str:
    return f"session {hashed_key}"
