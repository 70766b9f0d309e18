"""The dispatcher: many deliveries at a time, none of which waits for another's endpoint."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import Context

import structlog
from django.db import DatabaseError, connections

from apps.notifications.webhooks import claiming, sending

log = structlog.get_logger(__name__)

AT_ONCE = 16
# How long what became due may wait while slow endpoints are being called.
LOOKS_AGAIN_S = 0.2

_turn = threading.Lock()
_rung = threading.Event()


def dispatch() -> int:
    """Send what is due until nothing is; how many were sent. A process has one dispatcher, which finds new work too."""
    count = 0
    _rung.set()
    # Whoever rings while the last look is under way finds the turn taken, and is heard by this second question.
    while _rung.is_set() and _turn.acquire(blocking=False):
        try:
            _rung.clear()
            count += _dispatch()
        finally:
            _turn.release()
    return count


def _dispatch() -> int:
    count = 0
    under_way: set[Future[None]] = set()
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhooks") as pool:
        while True:
            claims = claiming.claim(AT_ONCE - len(under_way), sending.LEASE_S) if len(under_way) < AT_ONCE else []
            under_way |= {pool.submit(Context().run, _execute, claim) for claim in claims}
            count += len(claims)
            if not under_way:
                return count
            _, under_way = wait(under_way, timeout=LOOKS_AGAIN_S, return_when=FIRST_COMPLETED)


def _execute(claim: claiming.Claim) -> None:
    try:
        sending.execute(claim)
    except DatabaseError as error:
        # Its lease ends, and it is sent again with the same id.
        log.warning("delivery_not_noted", delivery=str(claim.delivery_id), error=str(error))
    finally:
        connections.close_all()
