"""What can be done with datasets. A file becomes a version here; `ingestion` makes its table in the background."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from urllib.parse import unquote
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.db import IntegrityError, transaction
from django.db.models import Max, ProtectedError
from django.db.models.functions import Now

from apps.audit import services as audit
from apps.core import live, storage
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.ids import uuid7
from apps.core.outbound import client as outbound
from apps.datasets import csv_lines, errors
from apps.datasets.enums import VersionStatus
from apps.datasets.models import Column, Dataset, DatasetVersion
from apps.jobs import services as jobs
from apps.notifications import services as notifications
from apps.organizations import flags
from apps.organizations.models import Project
from apps.usage import services as usage
from apps.usage.meters import STORED_BYTES

if TYPE_CHECKING:  # polars takes a while to import, and the web process seldom needs it
    from apps.datasets.profiling import ColumnProfile
    from apps.datasets.reading import Table

INGEST = "datasets.ingest"
CANCELLED = "job_cancelled"
READY_FIELDS = ("status", "ready_at", "row_count", "column_count", "parquet_path", "parquet_size_bytes")

Source = File | str
"""An uploaded file, or the URL that one is fetched from."""


@transaction.atomic
def create_dataset(
    name: str, source: Source, *, by: Actor, description: str = "", project: Project | None = None
) -> DatasetVersion:
    """A new dataset with its first version, which a job reads. Raises `DatasetNameTaken` and as `add_version`."""
    dataset = Dataset(name=name, description=description, project=project, created_by_label=by.label)
    _save_named(dataset)
    audit.record(by, "dataset.created", dataset, {"name": name})
    return add_version(dataset, source, by=by)


@transaction.atomic
def add_version(dataset: Dataset, source: Source, *, by: Actor) -> DatasetVersion:
    """The version made of `source`, new or, when the same bytes are there already, the one they are.

    A failed version of the same bytes is read again. A file from a URL is compared once it has arrived.
    Raises `DatasetTooLarge`, `UnreadableDataset`, `FeatureSwitchedOff`, `outbound.InvalidUrl`, `StorageUnavailable`,
    `StockExceeded`.
    """
    dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)
    if isinstance(source, str):
        version = _version_from_url(dataset, source, by)
    else:
        version = _version_from_file(dataset, source, by)
    live.publish("datasets")
    live.publish(f"dataset:{dataset.pk}")
    return version


def _version_from_url(dataset: Dataset, url: str, by: Actor) -> DatasetVersion:
    flags.require("datasets.fetch", dataset.organization_id)
    parts = outbound.parsed(url)
    source_name = _file_name(unquote(parts.path)) or str(parts.host)
    return _new_version(dataset, by, source_name=source_name, source_url=url)


def _version_from_file(dataset: Dataset, file: File, by: Actor) -> DatasetVersion:
    content_hash = _accepted(file)
    if known := dataset.versions.filter(content_hash=content_hash).first():
        return _read_again(known, by) if known.is_failed else known
    path = source_path(dataset, content_hash)
    with _stored(path, file, dataset) as stored:
        return _new_version(
            dataset,
            by,
            source_name=_file_name(file.name or ""),
            source_path=path,
            source_size_bytes=stored.size_bytes,
            content_hash=content_hash,
        )


def _accepted(file: File) -> str:
    """The SHA-256 of a file that may be a CSV: neither too large nor, by its beginning, something else."""
    if file.size > settings.UPLOAD_MAX_BYTES:
        raise errors.DatasetTooLarge(field="file", limit_bytes=settings.UPLOAD_MAX_BYTES)
    try:
        csv_lines.check_head(file.read(csv_lines.HEAD_BYTES))
    except errors.UnreadableDataset as error:
        error.field = "file"
        raise
    file.seek(0)
    content_hash = storage.measure(file).sha256
    file.seek(0)
    return content_hash


@contextmanager
def _stored(path: str, file: storage.Seekable, dataset: Dataset) -> Iterator[storage.Stored]:
    """Keep a file for the block, and from then on if the block succeeds. Raises `StockExceeded` before."""
    event_id = uuid7()
    reserved = usage.reserve(STORED_BYTES, file.seek(0, os.SEEK_END), event_id=event_id)
    file.seek(0)
    try:
        stored = storage.store(path, file)
        yield stored
        _meter(dataset, stored.size_bytes, event_id)
    except BaseException:
        storage.delete(path)
        usage.release(reserved, event_id=event_id)
        raise


def _meter(dataset: Dataset, size_bytes: int, event_id: UUID | None = None) -> None:
    """Count that so many bytes more are kept, or fewer."""
    if size_bytes:
        dimensions = {"dataset": str(dataset.pk)}
        usage.record(STORED_BYTES.name, size_bytes, event_id=event_id or uuid7(), dimensions=dimensions)


def _new_version(dataset: Dataset, by: Actor, **source: str | int) -> DatasetVersion:
    latest = dataset.versions.aggregate(latest=Max("number"))["latest"] or 0
    version = DatasetVersion(dataset=dataset, number=latest + 1, created_by_label=by.label, **source)
    version.save()
    changes = {"version": version.number, "file": version.source_name, "sha256": version.content_hash}
    audit.record(by, "dataset.version_added", dataset, changes)
    _tell("dataset_version.created", version, by=by.label)
    return _submit(version, by)


def _read_again(version: DatasetVersion, by: Actor) -> DatasetVersion:
    audit.record(by, "dataset.version_retried", version.dataset, {"version": version.number})
    reopen_version(version)
    return _submit(version, by)


def _submit(version: DatasetVersion, by: Actor) -> DatasetVersion:
    label = f"Read {version.dataset.name} version {version.number}"
    version.job = jobs.submit_job(INGEST, {"version": str(version.pk)}, by=by, label=label, subject=version.dataset)
    version.save(update_fields=["job"])
    return version


def source_path(dataset: Dataset, content_hash: str) -> str:
    return storage.tenant_path("datasets", str(dataset.pk), f"{content_hash}.csv")


def parquet_path(dataset: Dataset, content_hash: str) -> str:
    return storage.tenant_path("datasets", str(dataset.pk), f"{content_hash}.parquet")


def _file_name(path: str) -> str:
    name = PurePosixPath(path.replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[-200:]


def reopen_version(version: DatasetVersion) -> DatasetVersion:
    """Make a failed version one that is being read."""
    version.status, version.error_code, version.error_message = VersionStatus.PENDING, "", ""
    version.save(update_fields=["status", "error_code", "error_message"])
    return version


def attach_source(version: DatasetVersion, file: storage.Seekable, content_hash: str) -> DatasetVersion:
    """Keep the file that was fetched for `version`, or drop `version` for the one that has these bytes already."""
    path = source_path(version.dataset, content_hash)
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=version.dataset_id)
        known = DatasetVersion.objects.filter(dataset=version.dataset_id, content_hash=content_hash).first()
        if known is not None and known.pk != version.pk:
            version.delete()
            live.publish(f"dataset:{version.dataset_id}")
            return known
        with _stored(path, file, version.dataset) as stored:
            version.source_path, version.source_size_bytes = path, stored.size_bytes
            version.content_hash, version.source_url = content_hash, version.source_address
            version.save(update_fields=["source_path", "source_size_bytes", "content_hash", "source_url"])
    return version


def complete_version(
    version: DatasetVersion, table: Table, profiles: Sequence[ColumnProfile], path: str
) -> DatasetVersion:
    """Make a version ready, for good. Called in the transaction that ends its job."""
    version.status, version.ready_at = VersionStatus.READY, Now()
    version.row_count, version.column_count = table.row_count, len(table.columns)
    version.parquet_path, version.parquet_size_bytes = path, table.size_bytes
    version.save(update_fields=READY_FIELDS)
    Column.objects.bulk_create(_column(version, position, one) for position, one in enumerate(profiles))
    _meter(version.dataset, table.size_bytes)
    _tell("dataset_version.ready", version, to=_uploader(version), row_count=version.row_count)
    live.publish("datasets")
    live.publish(f"dataset:{version.dataset_id}")
    return version


def _column(version: DatasetVersion, position: int, profile: ColumnProfile) -> Column:
    drawn = profile.to_json()
    return Column(
        version=version,
        position=position,
        name=profile.name,
        kind=profile.kind.value,
        missing_count=profile.missing,
        distinct_count=profile.distinct,
        is_distinct_estimated=profile.distinct_is_estimate,
        minimum=profile.minimum,
        maximum=profile.maximum,
        mean=profile.mean,
        std=profile.std,
        warnings=profile.warnings,
        profile={name: drawn[name] for name in ("quantiles", "histogram", "top", "length")},
    )


def fail_version(version: DatasetVersion, code: str, message: str) -> DatasetVersion:
    """Say why a version has no table."""
    version.status, version.error_code, version.error_message = VersionStatus.FAILED, code, message
    version.save(update_fields=["status", "error_code", "error_message"])
    # Who cancels the reading knows.
    to = [] if code == CANCELLED else _uploader(version)
    _tell("dataset_version.failed", version, to=to, error_code=code, error_message=message)
    live.publish("datasets")
    live.publish(f"dataset:{version.dataset_id}")
    return version


def _uploader(version: DatasetVersion) -> list[UUID | None]:
    """The person or token that had it read."""
    return [version.job.created_by_id] if version.job else []


def _tell(event: str, version: DatasetVersion, *, to: list[UUID | None] | None = None, **told: Any) -> None:
    about = {"id": str(version.pk), "dataset_id": str(version.dataset_id), "number": version.number}
    notifications.notify(event, version.dataset, {**about, "name": version.dataset.name, **told}, to=to)


class DatasetChanges(TypedDict, total=False):
    name: str
    description: str
    project: Project | None


@transaction.atomic
def update_dataset(dataset: Dataset, *, by: Actor, **wanted: Unpack[DatasetChanges]) -> Dataset:
    """Rename, describe or label a dataset. Raises `DatasetNameTaken`."""
    if changes := apply_changes(dataset, wanted):
        _save_named(dataset)
        audit.record(by, "dataset.updated", dataset, changes)
        live.publish("datasets")
    return dataset


def _save_named(dataset: Dataset) -> None:
    try:
        with transaction.atomic():
            dataset.save()
    except IntegrityError:
        raise errors.DatasetNameTaken(field="name", name=dataset.name) from None


@transaction.atomic
def delete_dataset(dataset: Dataset, *, by: Actor) -> None:
    """Delete a dataset with its versions and files, and stop reading them. Raises `DatasetInUse`."""
    dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)
    versions = list(dataset.versions.select_related("job"))
    audit.record(by, "dataset.deleted", dataset, {"name": dataset.name, "versions": len(versions)})
    told = {"name": dataset.name, "version_count": len(versions), "by": by.label}
    notifications.notify("dataset.deleted", dataset, told, but=by.user_id)
    for version in versions:
        if version.job and not version.job.is_finished:
            jobs.cancel_job(version.job, by=by)
    try:
        dataset.delete()
    except ProtectedError as protected:
        raise errors.DatasetInUse(name=dataset.name, count=len(protected.protected_objects)) from None
    _meter(dataset, -sum(version.size_bytes for version in versions))
    paths = [path for version in versions for path in (version.source_path, version.parquet_path) if path]
    transaction.on_commit(lambda: _delete_files(paths), robust=True)
    live.publish("datasets")


def _delete_files(paths: Sequence[str]) -> None:
    for path in paths:
        storage.delete(path)
