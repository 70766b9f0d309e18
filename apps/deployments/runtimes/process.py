"""Replicas as processes on this machine, each a session of its own, so that it outlives a restart of the scaler.

For each replica the folder holds `<id>.json` (its process, read by the supervisor, which stops what is left), its
signature, the file in which it says that it is ready, and its log.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil

from apps.core import storage
from apps.core.errors import DomainError
from apps.deployments.runtimes import ReplicaSpec, Running

ROOT = Path(__file__).resolve().parents[3]
MODULE = "workers.replica"
HOST = "127.0.0.1"
LOG_TAIL_BYTES = 4096
ERROR_CHARS = 500
# A replica computes on what callers send: it gets none of the installation's secrets.
PASSED_VARIABLES = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "SUPERVISOR_PID"),
    *("LOG_FORMAT", "LOG_LEVEL", "DJANGO_SETTINGS_MODULE"),
)


class ArtifactDamaged(DomainError):
    code = "artifact_damaged"
    status = 500
    detail = "The stored model is not the one that was registered: its SHA-256 differs."


@dataclass(slots=True)
class Process:
    """A replica's process. Its start time tells it from a later process of the same number."""

    pid: int
    started_at: float
    popen: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        if self.popen is not None:
            return self.popen.poll() is None
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started_at and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def exit_code(self) -> int | None:
        """Negative for a signal; None for a process that an earlier scaler started, whose parent is gone."""
        return self.popen.returncode if self.popen else None

    def signal(self, number: signal.Signals) -> None:
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


class ProcessRuntime:
    """See `runtimes.Runtime`."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "run" / "replicas"
        self._logs = state_dir / "logs" / "replicas"
        for folder in (self._folder, self._logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._launches: dict[UUID, Future[Process]] = {}
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="launch")

    def adopt(self) -> None:
        for replica_id, process in self._leftovers():
            if replica_id not in self._launches:
                self._launches[replica_id] = _finished(process)
                self._write_pid_file(replica_id, process)
        for path in self._folder.glob("*.json"):
            if UUID(path.stem) not in self._launches:
                self._remove_files(path.stem)

    def start(self, spec: ReplicaSpec) -> None:
        self.kill(spec.replica_id)
        self._launches[spec.replica_id] = self._executor.submit(self._launch, spec)

    def terminate(self, replica_id: UUID) -> None:
        self._signal(replica_id, signal.SIGTERM)

    def kill(self, replica_id: UUID) -> None:
        self._signal(replica_id, signal.SIGKILL)

    def forget(self, replica_id: UUID) -> None:
        self._launches.pop(replica_id, None)
        self._remove_files(str(replica_id))

    def look(self) -> dict[UUID, Running]:
        return {replica_id: self._seen(replica_id, launch) for replica_id, launch in self._launches.items()}

    def close(self) -> None:
        """Finish what is being started; the replicas stay."""
        self._executor.shutdown()

    def _seen(self, replica_id: UUID, launch: Future[Process]) -> Running:
        if not launch.done():
            return Running(is_alive=True)
        try:
            process = launch.result()
        except (DomainError, OSError) as error:
            return Running(is_alive=False, error=f"It could not be started: {error}"[:ERROR_CHARS])
        if not process.is_alive:
            return Running(is_alive=False, error=self._reason(replica_id, process)[:ERROR_CHARS])
        return Running(is_alive=True, address=self._address(replica_id, process), pid=process.pid)

    def _launch(self, spec: ReplicaSpec) -> Process:
        self._path(spec.replica_id, "ready").unlink(missing_ok=True)
        self._path(spec.replica_id, "signature").write_text(json.dumps(spec.signature))
        with storage.local_copy(spec.artifact_path) as model, self._log(spec.replica_id).open("wb") as log:
            _require_content(model, spec.artifact_sha256)
            popen = subprocess.Popen(
                self._command(spec, model),
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(popen.pid, psutil.Process(popen.pid).create_time(), popen)
        self._write_pid_file(spec.replica_id, process)
        return process

    def _command(self, spec: ReplicaSpec, model: Path) -> list[str]:
        files = ["--signature", self._path(spec.replica_id, "signature"), "--ready-file", self._ready(spec.replica_id)]
        names = ["--name", spec.name, "--version", spec.version, "--replica-id", spec.replica_id]
        return list(map(str, [sys.executable, "-m", MODULE, "--model", model, *files, *names, "--port", 0]))

    def _leftovers(self) -> Iterator[tuple[UUID, Process]]:
        """Living replicas of this folder, the newest first."""
        running = psutil.process_iter(["cmdline", "create_time", "status"])
        found = [one.info | {"pid": one.pid} for one in running if MODULE in (one.info["cmdline"] or ())]
        for info in sorted(found, key=lambda info: info["create_time"], reverse=True):
            replica_id = UUID(_argument(info["cmdline"], "--replica-id"))
            is_ours = _argument(info["cmdline"], "--ready-file") == str(self._ready(replica_id))
            if is_ours and info["status"] != psutil.STATUS_ZOMBIE:
                yield replica_id, Process(info["pid"], info["create_time"])

    def _address(self, replica_id: UUID, process: Process) -> str:
        try:
            ready = json.loads(self._ready(replica_id).read_text())
        except FileNotFoundError:
            return ""
        return f"{HOST}:{ready['port']}" if ready["pid"] == process.pid else ""

    def _reason(self, replica_id: UUID, process: Process) -> str:
        match process.exit_code:
            case None:
                return "The process ended."
            case code if code < 0:
                return f"The process was killed by {signal.Signals(-code).name}."
            case code:
                return f"The process ended with exit status {code}. {self._last_line(replica_id)}".strip()

    def _last_line(self, replica_id: UUID) -> str:
        with suppress(FileNotFoundError), self._log(replica_id).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").replace("\x00", "").strip().splitlines()
            return lines[-1].strip() if lines else ""
        return ""

    def _write_pid_file(self, replica_id: UUID, process: Process) -> None:
        draft = self._path(replica_id, "draft")
        draft.write_text(json.dumps({"pid": process.pid, "started_at": process.started_at}))
        draft.replace(self._path(replica_id, "json"))

    def _signal(self, replica_id: UUID, number: signal.Signals) -> None:
        launch = self._launches.get(replica_id)
        if launch is not None and launch.done() and launch.exception() is None:
            launch.result().signal(number)

    def _remove_files(self, name: str) -> None:
        for suffix in ("json", "ready", "signature"):
            (self._folder / f"{name}.{suffix}").unlink(missing_ok=True)
        (self._logs / f"{name}.log").unlink(missing_ok=True)

    def _path(self, replica_id: UUID, suffix: str) -> Path:
        return self._folder / f"{replica_id}.{suffix}"

    def _ready(self, replica_id: UUID) -> Path:
        return self._path(replica_id, "ready")

    def _log(self, replica_id: UUID) -> Path:
        return self._logs / f"{replica_id}.log"


def _finished(process: Process) -> Future[Process]:
    launch: Future[Process] = Future()
    launch.set_result(process)
    return launch


def _argument(command: list[str], name: str) -> Any:
    return command[command.index(name) + 1]


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    return {**passed, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}


def _require_content(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise ArtifactDamaged
