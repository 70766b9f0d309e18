"""Lists the installation's guards, has some only count, or puts them back: for who cannot sign in to the console."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.ratelimits.guards import services
from apps.ratelimits.guards.known import KNOWN
from apps.ratelimits.models import Guard


class Command(BaseCommand):
    help = "The guards of this installation: list them, have some only count, or put them back as the code has them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["list", "shadow", "reset"])
        parser.add_argument("ids", nargs="*", help="Those of these ids; without any, all of them.")

    def handle(self, *args: Any, act: str, ids: list[str], **options: Any) -> None:
        if unknown := sorted(set(ids) - KNOWN.keys()):
            raise CommandError(f"There is no guard called {', '.join(unknown)}. There are {', '.join(KNOWN)}.")
        chosen = ids or list(KNOWN)
        if act == "shadow":
            services.shadow_guards(chosen)
        elif act == "reset":
            services.reset_guards(chosen)
        services.declare_guards()
        for guard in Guard.objects.filter(pk__in=chosen).order_by("pk"):
            changed = f", changed by {guard.changed_by_label}" if guard.changed_at else ""
            self.stdout.write(f"{guard.pk}: {services.in_words(guard)}{changed}")
