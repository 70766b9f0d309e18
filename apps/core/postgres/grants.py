"""What the sink's role may do. It writes rows of every organization past row-level security, so it is given each right
by itself, where runtime and console have theirs by default."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import migrations


def granted_to_sink(table: str, rights: str) -> migrations.RunPython:
    """A migration step that lets the sink do `rights`, as GRANT names them, with a table."""
    return migrations.RunPython(_run(f"GRANT {rights} ON {table} TO {{}}"), _run(f"REVOKE ALL ON {table} FROM {{}}"))


def _run(statement: str) -> Any:
    def run(apps: Any, schema_editor: Any) -> None:
        schema_editor.execute(statement.format(schema_editor.quote_name(settings.SINK_ROLE)), params=None)

    return run
