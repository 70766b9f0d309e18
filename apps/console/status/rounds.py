"""Rounds of probes: every component at each tick, written down once, summed up by the hour, forgotten in time."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

import structlog
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import Count, Q
from django.db.models.functions import TruncHour

from apps.console.models import ProbeHour, ProbeResult
from apps.console.status.probes import Outcome, probes
from apps.core.parallel import Parallel

INTERVAL = timedelta(seconds=30)
DEADLINE_S = 12.0
RESULTS_KEPT = timedelta(days=2)
HOURS_KEPT = timedelta(days=35)
MAX_UNSAVED = 2880  # of ten components, more than two hours

log = structlog.get_logger(__name__)


def tick(now: datetime) -> datetime:
    """The moment a round is written down under, the same for every process that probes."""
    return datetime.fromtimestamp(now.timestamp() // INTERVAL.seconds * INTERVAL.seconds, UTC)


class Rounds:
    """Probes and writes down. What PostgreSQL does not take now, its own absence first of all, it gets later."""

    def __init__(self) -> None:
        self._probe = Parallel(probes(), "probe")
        self._unsaved: deque[ProbeResult] = deque(maxlen=MAX_UNSAVED)

    def run(self, at: datetime) -> None:
        for component, outcome in self._probe(DEADLINE_S).items():
            self._unsaved.append(_row(component, at, outcome or Outcome(None, "timeout")))
        try:
            self._save(at)
        except (DatabaseError, InterfaceError) as error:
            log.warning("probes_not_saved", error=str(error).partition("\n")[0], waiting=len(self._unsaved))
            connections.close_all()

    def _save(self, at: datetime) -> None:
        with transaction.atomic():
            ProbeResult.objects.bulk_create(self._unsaved, ignore_conflicts=True)
            sum_up(min(row.at for row in self._unsaved))
            forget_old(at)
        self._unsaved.clear()


def _row(component: str, at: datetime, outcome: Outcome) -> ProbeResult:
    is_ok = not outcome.error_code
    return ProbeResult(
        component=component, at=at, is_ok=is_ok, latency_ms=outcome.latency_ms, error_code=outcome.error_code
    )


def sum_up(since: datetime) -> None:
    """Bring the hours from `since` on up to their probes; doing it twice changes nothing."""
    rows = ProbeResult.objects.filter(at__gte=since.replace(minute=0, second=0, microsecond=0))
    sums = rows.values("component", hour=TruncHour("at")).annotate(
        probe_count=Count("id"), ok_count=Count("id", filter=Q(is_ok=True))
    )
    ProbeHour.objects.bulk_create(
        [ProbeHour(**one) for one in sums],
        update_conflicts=True,
        unique_fields=["component", "hour"],
        update_fields=["probe_count", "ok_count"],
    )


def forget_old(now: datetime) -> None:
    ProbeResult.objects.filter(at__lt=now - RESULTS_KEPT).delete()
    ProbeHour.objects.filter(hour__lt=now - HOURS_KEPT).delete()
