"""The first run's sample organizations, and what the person needs to look around."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from workers.supervisor.environment import Installation
from workers.supervisor.processes import run_to_end
from workers.supervisor.state import ROOT, write_private
from workers.supervisor.terminal import complain, say


async def create_sample(installation: Installation) -> None:
    """Run the main job once, on the terminal. Without it everything else works, so a failure is told and survived."""
    known = sample(installation)
    if "curl" in known:
        move(installation, known["url"])
        return
    say("Creating the sample organizations and running the main job")
    command = [sys.executable, str(ROOT / "manage.py"), "create_sample"]
    code = await run_to_end(command, {**os.environ, **installation.variables, "PYTHONUNBUFFERED": "1"})
    if code != 0:
        complain(f"The sample was not created (exit status {code}). The next `make up` tries it again.")


def move(installation: Installation, old_url: str) -> None:
    """The address may be another one than last time; what was written down follows it."""
    url = installation.variables["PUBLIC_URL"]
    if url != old_url:
        file = sample_file(installation)
        write_private(file, file.read_text().replace(old_url, url))


def greeting(installation: Installation) -> str:
    """Address, logins, token and a call that works, as far as the sample has them."""
    url = installation.variables["PUBLIC_URL"]
    known = sample(installation)
    lines = ["", f"Modelyard is ready: {url}", *logins(known), *token(known)]
    if curl := known.get("curl"):
        lines += ["", "A prediction:", "", str(curl)]
    return "\n".join([*lines, "", f"Logs: {installation.state.logs}    Ctrl-C stops it"])


def logins(sample: dict[str, Any]) -> list[str]:
    people = [("operator", sample.get("operator"))]
    for slug in ("acme", "globex"):
        users = sample.get(slug, {}).get("users", {})
        people += [(f"{slug} {role}", person) for role, person in users.items()]
    return [f"  {role:<16} {person['email']:<28} {person['password']}" for role, person in people if person]


def token(sample: dict[str, Any]) -> list[str]:
    tokens = sample.get("acme", {}).get("token", {})
    return [f"  {'acme API token':<16} {tokens['owner']}"] if "owner" in tokens else []


def sample(installation: Installation) -> dict[str, Any]:
    """What the first run wrote down; the call in it comes last, when the main job is through."""
    file = sample_file(installation)
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return known


def sample_file(installation: Installation) -> Path:
    return installation.state.folder / "sample.json"
