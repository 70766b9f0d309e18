"""From a version's file to its table: fetched if need be, read, profiled, stored. Runs in a job, again if need be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from apps.core import storage
from apps.core.errors import NotFound
from apps.core.outbound import client as outbound
from apps.datasets import errors, services
from apps.datasets.models import DatasetVersion
from apps.datasets.profiling import profile
from apps.datasets.reading import read_csv
from apps.jobs.errors import JobCancelled
from apps.jobs.running import RunningJob

FETCH_SECONDS = 1800.0
FETCHED, READ, PROFILED = 0.1, 0.7, 0.97


def ingest(job: RunningJob) -> dict[str, Any]:
    """Make the table of the version in `job.input`. Returns which version has the file in the end."""
    version = DatasetVersion.objects.select_related("dataset").filter(pk=job.input["version"]).first()
    if version is None:
        raise NotFound
    if version.is_failed:
        services.reopen_version(version)
    with scratch_folder(job) as folder:
        if not version.source_path:
            job.progress(0.01, f"Fetching from {urlsplit(version.source_url).hostname}")
            version = _fetch(version, folder / "source.csv", job)
        if version.is_pending:
            _make_table(version, folder / "table.parquet", job)
    return {"version": str(version.pk), "number": version.number}


def _fetch(version: DatasetVersion, target: Path, job: RunningJob) -> DatasetVersion:
    limits = outbound.Limits(read_s=30, total_s=FETCH_SECONDS, max_bytes=settings.UPLOAD_MAX_BYTES)
    with target.open("x+b") as file:

        def write(chunk: bytes) -> None:
            job.check()
            file.write(chunk)

        answer = outbound.download(version.source_url, write, limits=limits)
        if answer.status != HTTPStatus.OK:
            host = urlsplit(version.source_url).hostname
            raise errors.SourceNotServed(host=host, status_code=answer.status)
        file.seek(0)
        content_hash = storage.measure(file).sha256
        file.seek(0)
        return services.attach_source(version, file, content_hash)


def _make_table(version: DatasetVersion, parquet: Path, job: RunningJob) -> None:
    with storage.local_copy(version.source_path) as source:
        table = read_csv(source, parquet, on_progress=_between(job, FETCHED, READ, "Reading rows"))
    profiles = profile(parquet, on_column=_between(job, READ, PROFILED, "Profiling columns"))
    job.progress(PROFILED, "Storing the table")
    path = services.parquet_path(version.dataset, str(version.content_hash))
    with parquet.open("rb") as file:
        storage.store(path, file)
    try:
        with job.commit() as result:
            services.complete_version(version, table, profiles, path)
            result.update(version=str(version.pk), number=version.number, row_count=table.row_count)
    except JobCancelled:
        storage.delete(path)
        raise


def _between(job: RunningJob, start: float, end: float, step: str) -> Any:
    return lambda share: job.progress(start + (end - start) * share, step)


@contextmanager
def scratch_folder(job: RunningJob) -> Iterator[Path]:
    """A folder for this attempt alone; what killed attempts of the same job left is removed first."""
    scratch = Path(settings.STATE_DIR) / "scratch"
    for left in scratch.glob(f"{job.id}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = scratch / f"{job.id}-{job.attempt}"
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
