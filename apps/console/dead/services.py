"""What operators do with events that could not be stored. Each act leaves a line in the log and in the history."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.contrib.admin.models import CHANGE, LogEntry

from apps.console.status.probes import client
from apps.core import dead_letters, masking
from apps.core.actors import Actor
from apps.core.dead_letters import Letter
from apps.core.errors import DomainError
from apps.core.operators import operator_id

log = structlog.get_logger(__name__)


class ReasonNeeded(DomainError):
    code = "reason_needed"
    status = 422
    detail = "Say why the events are given up."


def replay(letters: Iterable[Letter], *, by: Actor | None) -> int:
    """Put events back into their streams, where they are checked once more. How many; others took the rest."""
    return _act("replayed", letters, partial(dead_letters.replay, client()), by)


def discard(letters: Iterable[Letter], why: str, *, by: Actor | None) -> int:
    """Give events up, so that nobody counts them. How many. Raises `ReasonNeeded`."""
    if not why.strip():
        raise ReasonNeeded
    return _act("discarded", letters, partial(dead_letters.discard, client()), by, why)


def shown(letter: Letter) -> str:
    """The event's text without what may be a secret; what is no JSON is shown by its masked text."""
    try:
        event: Any = json.loads(letter.event)
    except ValueError:
        return masking.masked_text(letter.event.decode(errors="replace"))
    return json.dumps(masking.masked(event), indent=2, sort_keys=True)


def _act(what: str, letters: Iterable[Letter], do: Callable[[Letter], bool], by: Actor | None, why: str = "") -> int:
    who: UUID | None = operator_id(by) if by else None  # None: the command line of the installation
    done = 0
    for letter in letters:
        if do(letter):
            done += 1
            log.warning("dead_letter_" + what, letter=letter.id, stream=letter.stream, reason=letter.reason, why=why)
    if who and done:
        message = f"{done} {what}" + (f": {why}" if why else "")
        LogEntry.objects.create(
            user_id=who, object_repr="Events that were not stored", action_flag=CHANGE, change_message=message
        )
    return done
