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
    jobs = GaugeMetricFamily("modelyard_jobs", "Jobs that are not finished.", labels=["queue", "status"])
    oldest = GaugeMetricFamily(
        "modelyard_jobs_oldest_seconds", "Age of the oldest of them.", labels=["queue", "status"]
    )
    for queue, status, count, age_s in _rows("console_unfinished_jobs"):
        jobs.add_metric([queue, status], count)
        oldest.add_metric([queue, status], age_s)
    yield from (jobs, oldest)


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
    entries.add_metric([streams.DEAD], streams.dead_count(client()))
    yield from (entries, oldest)


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
        cursor.execute(f"SELECT * FROM {function}()")  # noqa: S608 - one of two names above
        return cursor.fetchall()


SOURCES: dict[str, Callable[[], Families]] = {
    "jobs": _jobs,
    "replicas": _replicas,
    "streams": _streams,
    "probes": _probes,
}


def register() -> None:
    REGISTRY.register(InstallationCollector())
