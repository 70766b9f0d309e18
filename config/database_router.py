"""Which role does what: only the owner changes the schema."""

from typing import Any


class OwnerMigrates:
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "owner"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        # The aliases are roles of one database, so their rows may refer to each other.
        return True
