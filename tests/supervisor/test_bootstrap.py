"""The step before there is an environment: which Python, where pip comes from, and what is installed when."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from workers.supervisor import bootstrap

NAME = "pip-{}-py3-none-any.whl"
LINK = '<a href="{href}">{name}</a>\n'


class Index:
    """A package index in a folder, served over HTTP."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        (folder / "pip").mkdir()

    def publish(self, version: str, content: bytes = b"wheel", digest: str | None = None) -> None:
        name = NAME.format(version)
        (self.folder / "pip" / name).write_bytes(content)
        digest = digest or hashlib.sha256(content).hexdigest()
        with (self.folder / "pip" / "index.html").open("a") as page:
            page.write(LINK.format(href=f"{name}#sha256={digest}", name=name))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Index(tmp_path, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: Index) -> bootstrap.PipSettings:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", index.url)
    return bootstrap.PipSettings()


def test_the_newest_final_release_is_fetched(index: Index, settings: bootstrap.PipSettings, tmp_path: Path) -> None:
    for version in ("9.0.3", "26.0", "24.3.1", "27.0b1"):
        index.publish(version, content=version.encode())
    wheel = bootstrap.fetch_pip(settings, tmp_path)
    assert wheel.name == NAME.format("26.0")
    assert wheel.read_bytes() == b"26.0"


def test_a_wheel_that_is_not_what_the_index_promises_is_refused(
    index: Index, settings: bootstrap.PipSettings, tmp_path: Path
) -> None:
    index.publish("26.0", digest="0" * 64)
    with pytest.raises(SystemExit, match="does not have the digest"):
        bootstrap.fetch_pip(settings, tmp_path)


def test_an_index_without_pip_is_named_as_the_problem(settings: bootstrap.PipSettings, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="PIP_INDEX_URL"):
        bootstrap.fetch_pip(settings, tmp_path)


def test_a_variable_wins_over_the_configuration_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.test/simple\nextra-index-url = https://extra.test/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    assert bootstrap.PipSettings().indexes() == ["https://file.test/simple", "https://extra.test/simple"]
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.test/simple")
    assert bootstrap.PipSettings().indexes()[0] == "https://variable.test/simple"


def test_a_private_index_gets_its_credentials_as_a_header() -> None:
    request = bootstrap.request_for("https://user:p%40ss@index.test/simple/pip/")
    assert request.full_url == "https://index.test/simple/pip/"
    assert request.get_header("Authorization") == "Basic dXNlcjpwQHNz"
    assert bootstrap.request_for("https://index.test/").get_header("Authorization") is None


def test_an_interpreter_that_does_not_start_is_not_usable(tmp_path: Path) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    assert not bootstrap.is_usable(broken)
    assert not bootstrap.is_usable(tmp_path / "absent")
    assert bootstrap.is_usable(sys.executable)


def test_an_old_python_without_a_newer_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        bootstrap.run_on_newer_python()


def test_a_changed_lock_file_changes_what_is_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    for name in ("base.txt", "dev.txt", "weights.txt"):
        (requirements / name).write_text("one==1\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    before = bootstrap.fingerprint("base")
    assert bootstrap.fingerprint("base") == before
    (requirements / "weights.txt").write_text("one==2\n")
    assert bootstrap.fingerprint("base") != before


def test_an_unknown_command_lists_the_known_ones() -> None:
    script = Path(bootstrap.__file__)
    ended = subprocess.run([sys.executable, script, "fly"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "up|reset|test|drill|lint|lock|bench" in ended.stderr
