"""What one installation remembers between runs: its ports, its secrets, and where its services keep their data."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from workers.supervisor import ports

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path("/var/lib/modelyard")


class Memory(TypedDict):
    ports: dict[str, int]
    secrets: dict[str, str]


class State:
    """The state folder, private to its user, and the folder of the services.

    They differ for root only: PostgreSQL refuses to run as root, and whom it runs as instead may not read the checkout.
    """

    def __init__(self, folder: Path, services: Path, binaries: Path | None = None, is_durable: bool = True) -> None:
        self.folder = folder
        self.services = services
        self.binaries = binaries or services
        self.is_durable = is_durable
        self.logs = folder / "logs"
        self.run = folder / "run"
        self.replicas = self.run / "replicas"
        self._memory = folder / "state.json"

    @classmethod
    def of_checkout(cls, environ: Mapping[str, str]) -> State:
        folder = Path(environ.get("STATE_DIR") or ROOT / ".data").resolve()
        return cls(folder, shared_folder(folder) if os.geteuid() == 0 else folder / "services")

    def make(self) -> None:
        for folder in (self.folder, self.logs, self.run, self.replicas):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        self.services.mkdir(parents=True, exist_ok=True)
        # PostgreSQL's user only has to pass through.
        self.services.chmod(0o711)
        if self.services.is_relative_to(SHARED):
            SHARED.chmod(0o711)
        if not self.exists():
            self._write(self._read())

    def exists(self) -> bool:
        return self._memory.exists()

    def delete(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.services, ignore_errors=True)
        shutil.rmtree(self.folder)

    def port(self, name: str) -> int:
        """The remembered port of this service, or a new one when it is unknown or somebody took it meanwhile."""
        memory = self._read()
        port = memory["ports"].get(name)
        if port is None or not ports.is_free(port):
            port = ports.choose(taken=set(memory["ports"].values()))
            memory["ports"][name] = port
            self._write(memory)
        return port

    def secret(self, name: str) -> str:
        """A random secret, made once."""
        memory = self._read()
        if name not in memory["secrets"]:
            memory["secrets"][name] = secrets.token_urlsafe(48)
            self._write(memory)
        return memory["secrets"][name]

    def _read(self) -> Memory:
        if not self._memory.exists():
            return {"ports": {}, "secrets": {}}
        memory: Memory = json.loads(self._memory.read_text())
        return memory

    def _write(self, memory: Memory) -> None:
        write_private(self._memory, json.dumps(memory, indent=2) + "\n")


def shared_folder(folder: Path) -> Path:
    """Root's folder for services: outside the home directory, one for each state folder."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return SHARED / f"{folder.parent.name}-{digest}"


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read; a reader sees the old text or the new one, never half."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
