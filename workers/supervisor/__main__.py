"""python -m workers.supervisor up | reset | test [-- pytest arguments] | run -- command | lint | lock"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from workers.supervisor import testing
from workers.supervisor.instance import Instance
from workers.supervisor.state import ROOT, State
from workers.supervisor.terminal import say
from workers.supervisor.up import up


def reset() -> int:
    """Stop this checkout's installation and forget all its data."""
    state = State.of_checkout(os.environ)
    # STATE_DIR may name any folder; only one that was made for this is deleted.
    if not state.exists():
        say(f"Nothing to forget in {state.folder}")
        return 0
    state.make()
    instance = Instance(state)
    instance.evict()
    instance.stop_leftovers()
    state.delete()
    say(f"Deleted {state.folder}")
    return 0


def lock() -> int:
    """Compile the pinned lists from the .in files."""
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--universal", "--python-version", "3.11", "--no-annotate", "--no-header"]
    for name in ("base", "dev"):
        command = [str(uv), "pip", "compile", *options, f"{name}.in", "-o", f"{name}.txt"]
        subprocess.run(command, cwd=ROOT / "requirements", check=True)
    return 0


def main(arguments: Sequence[str]) -> int:
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "up": lambda _: up(State.of_checkout(os.environ), os.environ),
        "reset": lambda _: reset(),
        "test": testing.test,
        "run": testing.run_with_services,
        "lint": lambda _: testing.run_with_services([sys.executable, "-m", "workers.supervisor.checks"]),
        "lock": lambda _: lock(),
    }
    if not arguments or arguments[0] not in commands:
        sys.exit(__doc__)
    os.chdir(ROOT)
    rest = [argument for argument in arguments[1:2] if argument != "--"] + list(arguments[2:])
    return commands[arguments[0]](rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
