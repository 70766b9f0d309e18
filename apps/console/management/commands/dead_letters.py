"""Lists events that could not be stored, puts them back into their streams, or gives them up."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.console.dead import services
from apps.console.status.probes import client
from apps.core import dead_letters

MOST_LISTED = 100


class Command(BaseCommand):
    help = "Events that could not be stored: list, replay or discard them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["list", "replay", "discard"])
        parser.add_argument("ids", nargs="*", help="Those of these ids; with --all every one that fits.")
        parser.add_argument("--all", action="store_true", dest="is_all")
        parser.add_argument("--stream", default="")
        parser.add_argument("--reason", default="", help="Those that were refused for exactly this reason.")
        parser.add_argument("--why", default="", help="Why they are discarded.")

    def handle(self, *args: Any, act: str, ids: list[str], is_all: bool, why: str, **options: Any) -> None:
        wanted = {"stream": options["stream"], "reason": options["reason"]}
        if act == "list":
            self._list(wanted)
            return
        if bool(ids) == is_all:
            raise CommandError("Name the ids, or say --all.")
        chosen = dead_letters.found(client(), ids) if ids else dead_letters.letters(client(), **wanted)
        if act == "replay":
            self.stdout.write(f"{services.replay(chosen, by=None)} replayed.")
        elif why:
            self.stdout.write(f"{services.discard(chosen, why, by=None)} discarded.")
        else:
            raise CommandError("Say why by --why.")

    def _list(self, wanted: dict[str, str]) -> None:
        for letter in islice(dead_letters.letters(client(), **wanted), MOST_LISTED):
            self.stdout.write(f"{letter.id}  {letter.at.isoformat()}  {letter.stream}  {letter.reason}")
        for stream, reason, number in dead_letters.counts(client()):
            self.stdout.write(f"{number} of {stream}: {reason}")
        self.stdout.write(f"{dead_letters.count(client())} in all.")
