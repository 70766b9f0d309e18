"""Exports of all data: asked for, made by a job, downloaded for a week, removed."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from apps.audit import services as audit
from apps.console.data_rights import archive, errors
from apps.console.data_rights.models import DataExport
from apps.core import live, storage, tenancy
from apps.core.actors import Actor
from apps.core.downloads import Download, attachment
from apps.core.ids import uuid7
from apps.jobs import services as jobs
from apps.jobs.errors import JobCancelled, LeaseLost
from apps.jobs.models import Job
from apps.jobs.running import RunningJob
from apps.notifications import services as notifications
from apps.organizations import queries as organizations

KIND = "organization.export"
TOPIC = "exports"
KEPT_FOR = timedelta(days=7)
KEPT_LIMIT = 5


@transaction.atomic
def start_export(*, by: Actor) -> DataExport:
    """Ask for all data in one file. While one is being made, that one is returned. Raises `TooManyExports`."""
    organizations.locked_organization()  # two who ask at one moment get the same one
    if running := DataExport.objects.being_made().select_related("job").first():
        return running
    if DataExport.objects.kept().count() >= KEPT_LIMIT:
        raise errors.TooManyExports(limit=KEPT_LIMIT)
    export = DataExport(id=uuid7())
    export.job = jobs.submit_job(KIND, {"export": str(export.pk)}, by=by, label="Export of all data", subject=export)
    export.save()
    audit.record(by, "export.requested", export)
    live.publish(TOPIC)
    return export


def make_export(job: RunningJob) -> None:
    """Make the file of the export in `job.input`. A later attempt makes another one, and the earlier one's goes."""
    export = DataExport.objects.get(pk=job.input["export"])
    path = storage.tenant_path(archive.EXPORTS, str(export.pk), f"{job.attempt}.zip")
    with _scratch() as file:
        summary = archive.write(file, job.progress)
        job.progress(1, "Storing the file")
        file.seek(0)
        stored = storage.store(path, file)
    try:
        with job.commit() as result:
            _complete(export, path, stored, summary)
            result.update(row_count=summary.row_count, file_count=summary.file_count, size_bytes=stored.size_bytes)
    except (JobCancelled, LeaseLost):
        storage.delete(path)
        raise
    _remove_files(export, but=path)


def _scratch() -> BinaryIO:
    """A file without a name, so that nothing of it is left when the process is killed."""
    folder = Path(settings.STATE_DIR) / "scratch"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return cast(BinaryIO, TemporaryFile(dir=folder))


def _complete(export: DataExport, path: str, stored: storage.Stored, summary: archive.Summary) -> None:
    export.path, export.sha256, export.size_bytes = path, stored.sha256, stored.size_bytes
    export.row_count, export.file_count = summary.row_count, summary.file_count
    export.ready_at, export.expires_at = Now(), Now() + KEPT_FOR
    export.save()
    live.publish(TOPIC)


def tell_end(job: Job) -> None:
    """Tell whoever asked that the export is ready, or that there will be none."""
    live.publish(TOPIC)
    export = DataExport.objects.filter(job=job).first()
    if export is None:
        return
    if export.ready_at is None:
        transaction.on_commit(partial(_remove_files, export))  # of attempts that were killed
    event = "export.ready" if export.ready_at else "export.failed"
    notifications.notify(event, export, {"error_message": job.error_message}, to=[job.created_by_id])


@transaction.atomic
def download_export(export: DataExport, *, by: Actor) -> Download:
    """The file as an attachment, and a line in the trail. Raises `ExportNotReady`, `ExportExpired`."""
    if export.expires_at is None:
        raise errors.ExportNotReady(status=export.job.status)
    if not DataExport.objects.kept().filter(pk=export.pk).exists():
        raise errors.ExportExpired(days=KEPT_FOR.days)
    audit.record(by, "export.downloaded", export, {"sha256": export.sha256})
    return attachment(
        export.path,
        filename=f"{export.organization.slug}-{export.created_at.date().isoformat()}.zip",
        content_type="application/zip",
        size_bytes=export.size_bytes or 0,
        sha256=export.sha256,
    )


def remove_expired() -> int:
    """Remove the files of the scope's exports that have outlived their time; how many exports those were."""
    expired = list(DataExport.objects.to_remove())
    for export in expired:
        _remove_files(export)
        DataExport.objects.filter(pk=export.pk).update(path="")
    if expired:
        live.publish(TOPIC)
    return len(expired)


def _remove_files(export: DataExport, but: str = "") -> None:
    with tenancy.scope(export.organization_id):
        for file in storage.stored_files(archive.EXPORTS, str(export.pk)):
            if file.path != but:
                storage.delete(file.path)
