"""The artifact of a version as a file that a browser saves and never runs."""

from __future__ import annotations

from django.http import FileResponse

from apps.core import storage
from apps.registry.models import ModelVersion


def artifact_response(version: ModelVersion) -> FileResponse:
    response = FileResponse(
        storage.open_stream(version.artifact_path),
        as_attachment=True,
        filename=version.file_name,
        content_type="application/octet-stream",
    )
    response["Content-Length"] = str(version.size_bytes)
    response["ETag"] = f'"{version.artifact_sha256}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    return response
