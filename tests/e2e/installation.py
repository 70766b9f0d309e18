"""A whole installation as `make up` starts it, in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from apps.console.sample.client import Client

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 300


class Installation:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="modelyard-e2e-"))
        self.folder.chmod(0o711)
        self.state = self.folder / "state"
        self.terminal = self.folder / "terminal.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **environ: str) -> None:
        """Run `up` and wait until it says that it is ready."""
        shown = self.terminal.stat().st_size if self.terminal.exists() else 0
        with self.terminal.open("ab") as terminal:
            self.process = self.supervisor("up", terminal, **environ)
        self.wait(lambda: b"Ctrl-C stops it" in self.terminal.read_bytes()[shown:], START_SECONDS)

    def supervisor(self, command: str, output: IO[bytes], **environ: str) -> subprocess.Popen[bytes]:
        # Nothing else of this environment: the tests' own services are not this installation's.
        env = {"PATH": os.environ["PATH"], "STATE_DIR": str(self.state), "LLM": "off", **environ}
        arguments = [sys.executable, "-m", "workers.supervisor", command]
        return subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=output, stderr=output)

    def wait(self, ready: Callable[[], Any], seconds: float = 60) -> Any:
        """The first true answer; fails with what the terminal shows."""
        deadline = time.monotonic() + seconds
        while not (answer := ready()):
            if self.process and self.process.poll() is not None:
                raise AssertionError(f"up ended:\n{self.terminal.read_text()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s:\n{self.terminal.read_text()[-3000:]}")
            time.sleep(0.2)
        return answer

    def stop(self) -> int:
        """Ctrl-C; the exit status."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def remove(self) -> None:
        if self.process and self.process.poll() is None:
            self.stop()
        # The database may live outside the folder, where its own user can read it.
        with self.terminal.open("ab") as terminal:
            self.supervisor("reset", terminal).wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def sample(self) -> dict[str, Any]:
        return json.loads((self.state / "sample.json").read_text())

    @property
    def url(self) -> str:
        return self.sample["url"]

    def api(self, person: str = "developer", organization: str = "acme") -> Client:
        return Client(self.url, self.sample[organization]["token"][person])

    def edge(self, person: str = "developer", organization: str = "acme") -> Client:
        """The edge that runs alone, so that a killed web process is none of its business."""
        port = json.loads((self.state / "state.json").read_text())["ports"]["edge"]
        return Client(f"http://127.0.0.1:{port}", self.sample[organization]["token"][person])

    def pid(self, name: str) -> int:
        file = f"replicas/{name}.json" if "-" in name else f"{name}.json"
        return json.loads((self.state / "run" / file).read_text())["pid"]

    def replicas(self) -> list[str]:
        return [file.stem for file in (self.state / "run" / "replicas").glob("*.json")]

    def kill(self, name: str) -> None:
        """`kill -9` of a process by the name of its pid file."""
        os.kill(self.pid(name), signal.SIGKILL)

    def log(self, name: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.state / "logs" / f"{name}.log").read_text()
        return ""
