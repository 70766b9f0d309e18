"""The same promises against a real S3 server, as a process of its own."""

from __future__ import annotations

import hashlib
import io
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from apps.core import storage, tenancy
from apps.core.errors import NotFound, StorageUnavailable
from apps.core.ids import uuid7

pytestmark = pytest.mark.slow

WEED = Path(sys.executable).with_name("weed")
SERVERS = ("master", "volume", "filer", "s3", "admin")
ACCESS = {"accessKey": "access", "secretKey": "secret-of-the-test"}
START_SECONDS = 60


def free_ports(count: int) -> list[int]:
    """Ports that are free, and whose neighbours 10000 above are too: the servers talk to each other there."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(11_000, 22_000)
        if port not in found and is_free(port) and is_free(port + 10_000):
            found.append(port)
    return found


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("s3")
    identities = {"identities": [{"name": "tests", "credentials": [ACCESS], "actions": ["Admin"]}]}
    (folder / "identities.json").write_text(json.dumps(identities))
    ports = dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
    command = [
        *(str(WEED), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-s3.config={folder}/identities.json", "-s3.port.iceberg=0", "-s3.port.lance=0", "-bucket=tests"),
        *("-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{ports['s3']}"
        wait_for_bucket(url, process)
        yield url
    finally:
        process.kill()
        process.wait()


def wait_for_bucket(url: str, process: subprocess.Popen[bytes]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=ACCESS["accessKey"],
        aws_secret_access_key=ACCESS["secretKey"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.put_object(Bucket="tests", Key="ready", Body=b"")
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError("The S3 server did not start.")


@pytest.fixture
def path(s3_url: str, settings: Any, tmp_path: Path) -> Iterator[str]:
    """The path of a file in an organization's folder of the bucket."""
    use_s3(settings, s3_url)
    settings.STATE_DIR = tmp_path
    with tenancy.scope(uuid7()):
        yield storage.tenant_path("datasets", "a.csv")


def use_s3(settings: Any, url: str) -> None:
    options = {
        "bucket_name": "tests",
        "access_key": ACCESS["accessKey"],
        "secret_key": ACCESS["secretKey"],
        "endpoint_url": url,
        "region_name": "us-east-1",
        "addressing_style": "path",
        "client_config": Config(
            s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1}
        ),
    }
    back_end = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "default": back_end}


@pytest.mark.parametrize("size_bytes", [0, 10, 20_000_000], ids=["empty", "small", "several parts"])
def test_what_was_stored_is_read_back(size_bytes: int, path: str) -> None:
    content = random.Random(1).randbytes(size_bytes)
    assert storage.store(path, io.BytesIO(content)) == (hashlib.sha256(content).hexdigest(), size_bytes)
    with storage.open_stream(path) as stream:
        assert stream.read() == content
    storage.delete(path)
    storage.delete(path)
    with pytest.raises(NotFound):
        storage.open_stream(path)


class Endless:
    def read(self, size: int = -1) -> bytes:
        return b"x" * max(size, 1)


def test_a_file_above_the_cap_leaves_nothing(path: str) -> None:
    with pytest.raises(storage.FileTooLarge):
        storage.store(path, Endless(), max_bytes=20_000_000)
    with pytest.raises(NotFound):
        storage.open_stream(path)


def test_an_upload_that_breaks_off_leaves_nothing(path: str) -> None:
    class Broken(Endless):
        reads = 0

        def read(self, size: int = -1) -> bytes:
            self.reads += 1
            if self.reads > 20:
                raise OSError("the client is gone")
            return super().read(size)

    with pytest.raises(StorageUnavailable):
        storage.store(path, Broken())
    with pytest.raises(NotFound):
        storage.open_stream(path)


def test_a_server_that_is_away_is_told_as_unavailable(path: str, settings: Any) -> None:
    use_s3(settings, "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable):
        storage.store(path, io.BytesIO(b"x"))
    with pytest.raises(StorageUnavailable):
        storage.open_stream(path)


def test_everything_of_an_organization_is_listed_and_deleted_and_nothing_of_another(path: str) -> None:
    storage.store(path, io.BytesIO(b"12345"))
    exported = storage.tenant_path("exports", "one", "1.zip")
    storage.store(exported, io.BytesIO(b"zip"))
    with tenancy.scope(uuid7()):
        others = storage.tenant_path("datasets", "a.csv")
        storage.store(others, io.BytesIO(b"theirs"))
    assert sorted(storage.stored_files()) == [(path, 5), (exported, 3)]
    assert list(storage.stored_files("exports", "one")) == [(exported, 3)]
    storage.delete_everything()
    storage.delete_everything()
    assert list(storage.stored_files()) == []
    with tenancy.no_scope(), storage.open_stream(others) as stream:
        assert stream.read() == b"theirs"


def test_a_file_that_is_read_once_leaves_no_copy_on_this_machine(path: str, tmp_path: Path) -> None:
    storage.store(path, io.BytesIO(b"12345"))
    with storage.open_stream(path) as stream:
        assert stream.read(2) + stream.read() == b"12345"
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == []


def test_parts_of_an_upload_that_was_killed_are_found_and_deleted_and_nothing_of_another(path: str) -> None:
    def begin(key: str) -> None:
        upload = storage._bucket().Object(key).initiate_multipart_upload()
        upload.Part(1).upload(Body=b"part")

    begin(path)
    with tenancy.scope(uuid7()):
        begin(storage.tenant_path("datasets", "a.csv"))
        assert storage.unfinished_upload_count() == 1
        others = tenancy.current_tenant_id()
    assert storage.unfinished_upload_count() == 1
    storage.delete_everything()
    assert storage.unfinished_upload_count() == 0
    with tenancy.scope(others):
        assert storage.unfinished_upload_count() == 1
