"""The artifact of a version, to be saved."""

from __future__ import annotations

from apps.core.downloads import Download, attachment
from apps.registry.models import ModelVersion


def artifact_response(version: ModelVersion) -> Download:
    return attachment(
        version.artifact_path,
        filename=version.file_name,
        content_type="application/octet-stream",
        size_bytes=version.size_bytes,
        sha256=version.artifact_sha256,
    )
