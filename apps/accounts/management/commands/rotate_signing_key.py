"""Sign tokens with a new key, by hand: after a leak with --at-once, otherwise before its time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.accounts.jwt import keys


class Command(BaseCommand):
    help = "Make a new key that signs access and refresh tokens. Older keys verify until what they signed expires."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--at-once",
            action="store_true",
            help="Retire the older keys now: within 30 seconds everybody's programs have to sign in again.",
        )

    def handle(self, *args: Any, at_once: bool, **options: Any) -> None:
        self.stdout.write(keys.rotate(at_once=at_once).pk)
