"""Stored files on their way to a browser, which saves them and never runs them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.http import FileResponse

from apps.core import storage


class Download(FileResponse):
    """A file that is sent piece by piece, also by an ASGI server (Django would read all of it first)."""

    block_size = 65_536
    file_to_stream: Any

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await sync_to_async(self.file_to_stream.read)(self.block_size):
            yield chunk


def attachment(path: str, *, filename: str, content_type: str, size_bytes: int, sha256: str) -> Download:
    """The stored file as an attachment. Raises `NotFound`, `StorageUnavailable`."""
    stream = storage.open_stream(path)
    response = Download(stream, as_attachment=True, filename=filename, content_type=content_type)
    response["Content-Length"] = str(size_bytes)
    response["ETag"] = f'"{sha256}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox"
    return response
