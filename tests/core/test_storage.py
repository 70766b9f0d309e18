"""Stored whole or not at all, inside one organization's folder."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.core.files.storage import storages
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.core import storage, tenancy
from apps.core.errors import NotFound, StorageUnavailable
from apps.core.ids import uuid7

CONTENT = b"a,b\n1,2\n" * 1000


class Bucket:
    """The far end of S3: objects by key, kept in memory. `fails` makes it answer with an error of its own."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.downloads = 0
        self.fails = False

    def Object(self, key: str) -> StoredObject:
        return StoredObject(self, key)

    def download_file(self, key: str, target: str) -> None:
        self.downloads += 1
        if self.fails:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
        if key not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        Path(target).write_bytes(self.objects[key])


class StoredObject:
    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key

    def upload_fileobj(self, stream: Any) -> None:
        received = bytearray()
        while chunk := stream.read(1000):
            received += chunk
        if self._bucket.fails:
            raise ClientError({"Error": {"Code": "InternalError"}}, "PutObject")
        self._bucket.objects[self._key] = bytes(received)

    def get(self) -> dict[str, Any]:
        if self._bucket.fails:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")
        if self._key not in self._bucket.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self._bucket.objects[self._key])}

    def delete(self) -> None:
        self._bucket.objects.pop(self._key, None)


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "objects")},
        },
    }
    return tmp_path / "objects"


@pytest.fixture
def bucket(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    settings.STATE_DIR = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {"bucket_name": "b"}},
    }
    found = Bucket()
    monkeypatch.setattr(type(storages["default"]), "bucket", found)
    return found


@pytest.fixture(autouse=True)
def tenant() -> Iterator[Any]:
    organization_id = uuid7()
    with tenancy.scope(organization_id):
        yield organization_id


def files_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def test_a_path_begins_with_the_organization(tenant: Any) -> None:
    assert storage.tenant_path("datasets", "a.csv") == f"{tenant}/datasets/a.csv"


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "../x", "a\x00b", "a\nb"])
def test_a_part_of_a_path_cannot_lead_out_of_it(part: str) -> None:
    with pytest.raises(ValueError, match="not a file name"):
        storage.tenant_path("datasets", part)


@pytest.mark.parametrize(
    "act", [storage.open_stream, storage.delete, lambda path: storage.store(path, io.BytesIO(b""))]
)
def test_another_organizations_file_is_out_of_reach(act: Any, folder: Path) -> None:
    with pytest.raises(tenancy.OtherTenant):
        act(f"{uuid7()}/datasets/a.csv")


@pytest.mark.parametrize("way_out", ["../x", "datasets/../../x", "datasets//x", "x/."])
def test_a_path_with_a_way_out_is_refused(way_out: str, tenant: Any, folder: Path) -> None:
    with pytest.raises(ValueError, match="not the path"):
        storage.open_stream(f"{tenant}/{way_out}")


@pytest.mark.parametrize("back_end", ["folder", "bucket"])
def test_what_was_stored_is_read_back_with_its_hash_and_size(back_end: str, request: Any) -> None:
    request.getfixturevalue(back_end)
    path = storage.tenant_path("datasets", "a.csv")
    stored = storage.store(path, io.BytesIO(CONTENT))
    assert stored == (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    with storage.open_stream(path) as stream:
        assert stream.read() == CONTENT
    with storage.local_copy(path) as local:
        assert local.read_bytes() == CONTENT
    storage.delete(path)
    storage.delete(path)
    with pytest.raises(NotFound):
        storage.open_stream(path)


def test_storing_again_replaces_the_file(folder: Path) -> None:
    path = storage.tenant_path("a")
    storage.store(path, io.BytesIO(b"old"))
    storage.store(path, io.BytesIO(b"new"))
    assert (folder / path).read_bytes() == b"new"
    assert files_in(folder) == [path]


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=3000), limit=st.integers(0, 3000))
def test_a_file_is_kept_exactly_when_it_fits(folder: Path, content: bytes, limit: int) -> None:
    path = storage.tenant_path("a")
    storage.delete(path)
    if len(content) <= limit:
        assert storage.store(path, io.BytesIO(content), limit).size_bytes == len(content)
    else:
        with pytest.raises(storage.FileTooLarge):
            storage.store(path, io.BytesIO(content), limit)
    assert files_in(folder) == ([path] if len(content) <= limit else [])


class FullDisk(io.RawIOBase):
    """Gives some bytes and then fails as reading from or writing to a full disk does."""

    def __init__(self) -> None:
        self._left = 3

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return b"x" * 100


@pytest.mark.parametrize("back_end", ["folder", "bucket"])
def test_a_full_disk_is_told_and_leaves_no_half_file(back_end: str, request: Any) -> None:
    found = request.getfixturevalue(back_end)
    with pytest.raises(StorageUnavailable):
        storage.store(storage.tenant_path("a"), FullDisk())
    assert (files_in(found) if back_end == "folder" else found.objects) in ([], {})


def test_a_failed_replacement_leaves_the_old_file(folder: Path) -> None:
    path = storage.tenant_path("a")
    storage.store(path, io.BytesIO(b"old"))
    with pytest.raises(StorageUnavailable):
        storage.store(path, FullDisk())
    assert (folder / path).read_bytes() == b"old"
    assert files_in(folder) == [path]


def test_an_s3_that_answers_with_errors_is_unavailable_and_not_missing(bucket: Bucket) -> None:
    path = storage.tenant_path("a")
    bucket.fails = True
    with pytest.raises(StorageUnavailable):
        storage.store(path, io.BytesIO(b"x"))
    with pytest.raises(StorageUnavailable):
        storage.open_stream(path)


def test_an_object_is_downloaded_once(bucket: Bucket) -> None:
    path = storage.tenant_path("a")
    storage.store(path, io.BytesIO(b"x"))
    for _ in range(3):
        with storage.local_copy(path) as local:
            assert local.read_bytes() == b"x"
    assert bucket.downloads == 1


def test_the_cache_forgets_what_was_used_least_recently(bucket: Bucket, settings: Any) -> None:
    settings.STORAGE_CACHE_BYTES = 250
    paths = [storage.tenant_path(name) for name in "abc"]
    for age, path in zip((9, 8, 0), paths, strict=True):
        storage.store(path, io.BytesIO(b"x" * 100))
        with storage.local_copy(path) as local:
            used_at = time.time() - age * storage.CACHE_IN_USE_S
            os.utime(local, (used_at, used_at))
    storage.store(storage.tenant_path("d"), io.BytesIO(b"x"))
    with storage.local_copy(storage.tenant_path("d")):
        kept = {local.stat().st_size for local in (settings.STATE_DIR / "cache").iterdir()}
    assert len(list((settings.STATE_DIR / "cache").iterdir())) == 3
    assert kept == {100, 1}


def test_everything_of_an_organization_is_listed_and_deleted_and_nothing_of_another(tenant: Any, folder: Path) -> None:
    assert list(storage.stored_files()) == []
    path = storage.tenant_path("datasets", "a.csv")
    storage.store(path, io.BytesIO(b"12345"))
    (folder / path).with_name(".a.csv.cut-off").write_bytes(b"123")
    with tenancy.scope(uuid7()):
        others = storage.tenant_path("datasets", "a.csv")
        storage.store(others, io.BytesIO(b"theirs"))
    assert sorted(file.size_bytes for file in storage.stored_files()) == [3, 5]
    assert list(storage.stored_files("models")) == []
    storage.delete_everything()
    storage.delete_everything()
    assert files_in(folder) == [others]
    assert not (folder / str(tenant)).exists()


def test_what_is_removed_while_files_are_listed_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = storage.tenant_path("a", "kept"), storage.tenant_path("b", "removed")
    for path in (first, second):
        storage.store(path, io.BytesIO(b"12345"))
    real = os.scandir

    def remove_then_look(place: Any = ".") -> Any:
        if Path(place).name == "b":
            Path(place, "removed").unlink()
            Path(place).rmdir()
        return real(place)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", remove_then_look)
        assert list(storage.stored_files()) == [(first, 5)]
    listed = storage.stored_files()
    storage.store(second, io.BytesIO(b"12345"))
    assert next(listed) == (first, 5)
    storage.delete(second)
    assert list(listed) == []


def test_a_folder_that_cannot_be_listed_is_no_empty_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(place: Any) -> Any:
        raise PermissionError

    storage.store(storage.tenant_path("a"), io.BytesIO(b"x"))
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StorageUnavailable):
        list(storage.stored_files())
