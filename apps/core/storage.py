"""Files of an organization, in a folder or in S3 (STORAGE_URL). What is stored is stored whole, or not at all.

Every path begins with the organization's id (`tenant_path`) and is relative to the storage.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages

from apps.core.errors import DomainError, NotFound, StorageUnavailable
from apps.core.tenancy import OtherTenant, current, current_tenant_id

CHUNK_BYTES = 1_048_576
# A copy somebody may be reading is left alone for this long.
CACHE_IN_USE_S = 3600


class FileTooLarge(DomainError):
    code = "file_too_large"
    status = 413
    detail = "The file is larger than {limit_bytes} bytes, which is the most this installation takes."


class Stored(NamedTuple):
    sha256: str
    size_bytes: int


class StoredFile(NamedTuple):
    path: str
    size_bytes: int


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Seekable(Readable, Protocol):
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


def tenant_path(*parts: str) -> str:
    """A path inside the current organization's folder. Each part is one name, never a way out of it."""
    for part in parts:
        if not part or "/" in part or part in {".", ".."} or not part.isprintable():
            raise ValueError(f"{part!r} is not a file name")
    return "/".join([str(current_tenant_id()), *parts])


def store(path: str, stream: Readable, max_bytes: int | None = None) -> Stored:
    """Keep what `stream` gives at `path`, replacing what was there. Memory does not grow with the file.

    Raises `FileTooLarge`, and `StorageUnavailable` when it cannot be kept (a full disk too); then nothing is.
    """
    _require_own(path)
    measured = Measured(stream, max_bytes)
    with unavailable_when_failing():
        if folder := _folder():
            _write_file(folder / path, measured)
        else:
            _bucket().Object(path).upload_fileobj(measured)
    return Stored(measured.digest.hexdigest(), measured.size_bytes)


def measure(stream: Readable) -> Stored:
    """What `store` would return for `stream`, which is read to its end."""
    measured = Measured(stream)
    while measured.read(CHUNK_BYTES):
        pass
    return Stored(measured.digest.hexdigest(), measured.size_bytes)


@contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """The file as one on this machine's disk, to be read only: itself, or a cached download.

    Raises `NotFound`, `StorageUnavailable`.
    """
    yield _local(path)


def open_stream(path: str) -> BinaryIO:
    """The file, open to be read once; no copy of it stays on this machine. Raises as `local_copy`."""
    _require_own(path)
    with unavailable_when_failing():
        if _folder():
            return _local(path).open("rb")
        return cast(BinaryIO, _bucket().Object(path).get()["Body"])


def delete(path: str) -> None:
    """Remove the file; one that is not there is removed already."""
    _require_own(path)
    with unavailable_when_failing():
        if folder := _folder():
            (folder / path).unlink(missing_ok=True)
        else:
            _bucket().Object(path).delete()
            _cached(path).unlink(missing_ok=True)


def stored_files(*parts: str) -> Iterator[StoredFile]:
    """Every file of the current organization, below `parts` if given; in a folder of interrupted writes too."""
    prefix = tenant_path(*parts) if parts else str(current_tenant_id())
    with unavailable_when_failing():
        if folder := _folder():
            for path, size in _files_below(folder / prefix):
                yield StoredFile(str(path.relative_to(folder)), size)
        else:
            for found in _bucket().objects.filter(Prefix=f"{prefix}/"):
                yield StoredFile(found.key, found.size)


def delete_everything() -> None:
    """Remove every file of the current organization, half ones too; what is removed already stays so."""
    for file in stored_files():
        delete(file.path)
    with unavailable_when_failing():
        if folder := _folder():
            shutil.rmtree(folder / str(current_tenant_id()), ignore_errors=True)
        for upload in _unfinished_uploads():
            upload.abort()


def unfinished_upload_count() -> int:
    """Uploads of the current organization that S3 keeps the parts of, because nobody finished or ended them."""
    with unavailable_when_failing():
        return sum(1 for _ in _unfinished_uploads())


def _unfinished_uploads() -> Iterator[Any]:
    if not _folder():
        yield from _bucket().multipart_uploads.filter(Prefix=f"{current_tenant_id()}/")


class Measured:
    """A stream that is hashed and counted while it is read, and ends with `FileTooLarge` above the cap."""

    def __init__(self, stream: Readable, max_bytes: int | None = None) -> None:
        self.digest = hashlib.sha256()
        self.size_bytes = 0
        self._stream = stream
        self._max_bytes = max_bytes

    def read(self, size: int = CHUNK_BYTES) -> bytes:
        chunk = self._stream.read(size)
        self.size_bytes += len(chunk)
        if self._max_bytes is not None and self.size_bytes > self._max_bytes:
            raise FileTooLarge(limit_bytes=self._max_bytes)
        self.digest.update(chunk)
        return chunk


def require_reachable() -> None:
    """Raise `StorageUnavailable` when files can be neither read nor written; quick, and proves no more than that."""
    with unavailable_when_failing():
        if folder := _folder():
            existing = next(path for path in (folder, *folder.parents) if path.exists())
            if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
                raise StorageUnavailable
        else:
            _bucket().meta.client.head_bucket(Bucket=_bucket().name)


@contextmanager
def unavailable_when_failing() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound from None
    except ClientError as problem:
        if problem.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            raise NotFound from None
        raise StorageUnavailable from problem
    except (OSError, BotoCoreError, Boto3Error) as problem:
        raise StorageUnavailable from problem


def _require_own(path: str) -> None:
    owner, *parts = path.split("/")
    if not parts or {"", ".", ".."} & set(parts):
        raise ValueError(f"{path!r} is not the path of a stored file")
    scope = current()
    if scope and scope.tenant_id and owner != str(scope.tenant_id):
        raise OtherTenant("The file belongs to another organization than the one in scope.")


def _folder() -> Path | None:
    """Where files lie on this machine; None with S3."""
    storage = storages["default"]
    return Path(storage.location) if isinstance(storage, FileSystemStorage) else None


def _files_below(place: Path) -> Iterator[tuple[Path, int]]:
    """Each file and its size, but for what is removed meanwhile."""
    for folder, folders, names in os.walk(place, onerror=_unless_removed):
        folders.sort()
        for path in (Path(folder, name) for name in sorted(names)):
            with suppress(FileNotFoundError):
                yield path, path.stat().st_size


def _unless_removed(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _bucket() -> Any:
    return storages["default"].bucket  # type: ignore[attr-defined]


def _local(path: str) -> Path:
    _require_own(path)
    folder = _folder()
    local = folder / path if folder else _downloaded(path)
    if not local.is_file():
        raise NotFound
    return local


def _write_file(path: Path, stream: Measured) -> None:
    """Write beside `path`, then rename: a reader sees the old file or the new one, a crash leaves neither half."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _scratch_beside(path) as scratch, scratch.open("xb") as file:
        while chunk := stream.read(CHUNK_BYTES):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        scratch.replace(path)
    _sync_folder(path.parent)


@contextmanager
def _scratch_beside(path: Path) -> Iterator[Path]:
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cached(path: str) -> Path:
    return Path(settings.STATE_DIR) / "cache" / hashlib.sha256(path.encode()).hexdigest()


def _downloaded(path: str) -> Path:
    """The cached copy of an object. What is stored under a path is never stored again with other content."""
    local = _cached(path)
    if local.exists():
        os.utime(local)
        return local
    local.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with unavailable_when_failing(), _scratch_beside(local) as scratch:
        _bucket().download_file(path, str(scratch))
        scratch.replace(local)
    _evict(local.parent, settings.STORAGE_CACHE_BYTES)
    return local


def _evict(cache: Path, limit_bytes: int) -> None:
    """Remove the copies that were used least recently until the cache fits its limit again."""
    files = sorted((entry.stat().st_mtime, entry.stat().st_size, entry) for entry in cache.iterdir())
    excess = sum(size for _, size, _ in files) - limit_bytes
    for used_at, size, file in files:
        if excess <= 0 or used_at > time.time() - CACHE_IN_USE_S:
            return
        file.unlink(missing_ok=True)
        excess -= size
