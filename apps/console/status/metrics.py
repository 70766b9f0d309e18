"""What only the control plane can tell Prometheus: jobs, replicas, streams and probes, read when it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import redis
from django.db import Error, connection
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from apps.console.models import ProbeResult
from apps.console.status import streams
from apps.console.status.probes import client
from apps.core import dead_letters
from apps.jobs import queues
from apps.usage import checking

Families = Iterator[GaugeMetricFamily]


class InstallationCollector(Collector):
    """A source that is away leaves its metrics out and says so in `modelyard_source_up`; the others are still told."""

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: asking when it is registered would need the database."""
        return []

    def collect(self) -> Families:
        up = GaugeMetricFamily("modelyard_source_up", "Whether these metrics could be read.", labels=["source"])
        for source, read in SOURCES.items():
            try:
                families = list(read())
            except (Error, redis.RedisError):
                up.add_metric([source], 0)
                continue
            up.add_metric([source], 1)
            yield from families
        yield up


def _jobs() -> Families:
    jobs = GaugeMetricFamily("modelyard_jobs", "Jobs that are not finished.", labels=["queue", "state"])
    oldest = GaugeMetricFamily(
        "modelyard_jobs_oldest_seconds", "Since when the first of them is in that state.", labels=["queue", "state"]
    )
    for queue, state, count, age_s in _rows("console_queued_jobs"):
        jobs.add_metric([queue, state], count)
        if age_s is not None:
            oldest.add_metric([queue, state], age_s)
    ((dead_count, expired_count),) = _rows("console_job_alarms")
    dead = GaugeMetricFamily("modelyard_jobs_dead", "Jobs in the dead set.", value=dead_count)
    expired = GaugeMetricFamily(
        "modelyard_jobs_leases_expired", "Running jobs whose lease is over.", value=expired_count
    )
    yield from (jobs, oldest, dead, expired, _workers())


def _workers() -> GaugeMetricFamily:
    workers = GaugeMetricFamily("modelyard_workers", "Living processes that serve a queue.", labels=["queue"])
    for queue, count in queues.serving().items():
        workers.add_metric([queue], count)
    return workers


def _replicas() -> Families:
    replicas = GaugeMetricFamily("modelyard_replicas", "Replicas by state.", labels=["status"])
    for status, count in _rows("console_replicas"):
        replicas.add_metric([status], count)
    yield replicas


def _streams() -> Families:
    entries = GaugeMetricFamily("modelyard_stream_entries", "Events that wait for the sink.", labels=["stream"])
    oldest = GaugeMetricFamily("modelyard_stream_oldest_seconds", "Age of the first of them.", labels=["stream"])
    for stream, (count, age_s) in streams.waiting(client()).items():
        entries.add_metric([stream], count)
        oldest.add_metric([stream], age_s)
    entries.add_metric([dead_letters.STREAM], dead_letters.count(client()))
    yield from (entries, oldest)


def _ledger() -> Families:
    if checked := checking.last_check():
        yield GaugeMetricFamily(
            "modelyard_ledger_differences", "Sums that differed from their rows.", value=checked["differences"]
        )


def _probes() -> Families:
    ok = GaugeMetricFamily("modelyard_probe_ok", "Whether the last probe succeeded.", labels=["component"])
    at = GaugeMetricFamily("modelyard_probe_timestamp_seconds", "When that was.", labels=["component"])
    latency = GaugeMetricFamily("modelyard_probe_latency_seconds", "What it measured.", labels=["component"])
    for row in ProbeResult.objects.order_by("component", "-at").distinct("component"):
        ok.add_metric([row.component], row.is_ok)
        at.add_metric([row.component], row.at.timestamp())
        if row.latency_ms is not None:
            latency.add_metric([row.component], row.latency_ms / 1000)
    yield from (ok, at, latency)


def _rows(function: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {function}()")  # noqa: S608 - one of the names above
        return cursor.fetchall()


SOURCES: dict[str, Callable[[], Families]] = {
    "jobs": _jobs,
    "replicas": _replicas,
    "streams": _streams,
    "ledger": _ledger,
    "probes": _probes,
}


def register() -> None:
    REGISTRY.register(InstallationCollector())
