"""The file of a version as it was uploaded."""

from __future__ import annotations

from apps.core.downloads import Download, attachment
from apps.core.errors import NotFound
from apps.datasets.models import DatasetVersion


def source_response(version: DatasetVersion) -> Download:
    """Raises `NotFound` while the file has not arrived yet."""
    if not version.source_path or version.content_hash is None:
        raise NotFound
    return attachment(
        version.source_path,
        filename=version.download_name,
        content_type="text/csv; charset=utf-8",
        size_bytes=version.source_size_bytes,
        sha256=version.content_hash,
    )
