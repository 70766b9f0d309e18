"""Says each sum that differs from the ledger's rows."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.organizations.models import Organization
from apps.usage import checking


class Command(BaseCommand):
    help = "Prove that the sums of the ledger are its rows added up; status 1 if any differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", default="", help="Its short name; all organizations otherwise.")
        parser.add_argument("--repair", action="store_true", help="Make the sums of those that differ anew.")

    def handle(self, *args: Any, organization: str, repair: bool, **options: Any) -> None:
        wanted = self._named(organization).pk if organization else None
        count, differing = 0, set()
        for difference in checking.differences(wanted):
            self.stdout.write(str(difference))
            differing.add(difference.organization_id)
            count += 1
        if repair:
            for organization_id in sorted(differing):
                checking.repair(organization_id)
            checking.check_all()  # operators are told of what differs until somebody finds that nothing does
        done = f", made anew for {len(differing)} organizations" if repair and differing else ""
        self.stdout.write(f"{count} sums differ from their rows{done}.")
        if count and not repair:
            sys.exit(1)

    def _named(self, slug: str) -> Organization:
        found = Organization.objects.filter(slug=slug).first()
        if found is None:
            raise CommandError(f"There is no organization {slug}.")
        return found
