"""First start: the cast, and the sample project built while one watches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from apps.console.sample import building, cast
from apps.console.sample.client import Client


class Command(BaseCommand):
    help = "Create the operator, acme and globex, build the sample project, and write the logins to a file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", type=Path, default=settings.STATE_DIR / "sample.json")

    def handle(self, *args: Any, output: Path, **options: Any) -> None:
        sample = cast.create()
        cast.write(sample, output)
        token = sample["acme"]["token"]["developer"]
        built = building.build(Client(settings.PUBLIC_URL, token), Client(settings.EDGE_URL, token), Progress())
        sample["curl"] = cast.curl(settings.PUBLIC_URL, token, built["path"], built["request"])
        cast.write(sample, output)


class Progress:
    """One line for each step; on a terminal the line of the running step is drawn over itself."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, share: float, step: str) -> None:
        line = f"  {share:4.0%}  {step}"
        if line == self.last:
            return
        self.last = line
        sys.stdout.write(f"\r\033[K{line}" if sys.stdout.isatty() else f"{line}\n")
        if share >= 1 and sys.stdout.isatty():
            sys.stdout.write("\n")
        sys.stdout.flush()
