"""A client of our own public API, as small as the sample project needs. It sees only what every customer sees."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Report = Callable[[float, str], None]

FINISHED_BADLY = {"failed", "dead", "cancelled"}
PATIENCE_SECONDS = 60
JOB_PATIENCE_SECONDS = 900


class ApiRefused(RuntimeError):
    """The API said no; the text is its reason."""


def wait_until(ready: Callable[[], Any], *, seconds: float, reason: str) -> Any:
    """The first true answer of `ready`. Raises `ApiRefused` with `reason` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := ready()):
        if time.monotonic() > deadline:
            raise ApiRefused(f"{reason} within {seconds:.0f} s.")
        time.sleep(0.3)
    return answer


class Client:
    """Calls `base_url` with an API token; requests that meet a restarting server are sent again with the same key."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url
        self.token = token

    def get(self, path: str) -> Any:
        return self._send("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        content = json.dumps(body or {}).encode()
        return self._send("POST", path, content, {"Content-Type": "application/json"})

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._send("PATCH", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def upload(self, path: str, file: Path, **fields: str) -> Any:
        boundary = secrets.token_hex(16)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._send("POST", path, _multipart(boundary, file, fields), headers)

    def wait_for_job(self, job_id: str, report: Report) -> dict[str, Any]:
        """The finished job. Raises `ApiRefused` with its error when it ended badly."""

        def finished() -> Any:
            job = self.get(f"/api/v1/jobs/{job_id}/")
            report(job["progress"], job["step"] or job["status"])
            if job["status"] in FINISHED_BADLY:
                raise ApiRefused(f"{job['label']}: {job['error_message']}")
            return job if job["status"] == "succeeded" else None

        return wait_until(finished, seconds=JOB_PATIENCE_SECONDS, reason="The job did not end")

    def _send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        sent = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": secrets.token_hex(16), **(headers or {})}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                status, content = self._once(method, path, body, sent)
            except (OSError, HTTPException):
                status, content = 503, b"The server did not answer."
            if status < 400:
                return json.loads(content) if content else None
            if status not in {502, 503, 504} or time.monotonic() > deadline:
                raise ApiRefused(f"{method} {path}: {status} {content.decode(errors='replace')[:500]}")
            time.sleep(0.5)

    def _once(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        parts = urlsplit(self.base_url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.netloc, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _multipart(boundary: str, file: Path, fields: dict[str, str]) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    disposition = f'form-data; name="file"; filename="{file.name}"'
    head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: text/csv\r\n\r\n".encode()
    return b"".join([*parts, head, file.read_bytes(), f"\r\n--{boundary}--\r\n".encode()])
