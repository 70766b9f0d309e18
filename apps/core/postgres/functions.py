"""Functions that look across organizations: owned by the console role, callable by the runtime role.

The processes that serve every organization (workers, sweeper, scaler) must find work before they know whose it is. They
get narrow functions for that, instead of a role that sees everything.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import migrations


def system_function(signature: str, body: str) -> migrations.RunPython:
    """A migration step that creates `signature` (name, arguments, RETURNS, LANGUAGE) as SECURITY DEFINER.

    `signature` is `name(argument types)`; `body` is everything behind it.
    """
    return migrations.RunPython(_creation(signature, body), _drop(signature))


def dropped_function(signature: str, before: str) -> migrations.RunPython:
    """A migration step that removes a `system_function`, whose body was `before`."""
    return migrations.RunPython(_drop(signature), _creation(signature, before))


def _creation(signature: str, body: str) -> Any:
    def create(apps: Any, schema_editor: Any) -> None:
        quote = schema_editor.quote_name
        console = quote(settings.DATABASES["console"]["USER"])
        runtime = quote(settings.DATABASES["default"]["USER"])
        schema_editor.execute(f"CREATE FUNCTION {signature} {body}", params=None)
        schema_editor.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC", params=None)
        schema_editor.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {runtime}", params=None)
        schema_editor.execute(f"ALTER FUNCTION {signature} OWNER TO {console}", params=None)

    return create


def _drop(signature: str) -> Any:
    def drop(apps: Any, schema_editor: Any) -> None:
        schema_editor.execute(f"SET LOCAL ROLE {schema_editor.quote_name(settings.DATABASES['console']['USER'])}")
        schema_editor.execute(f"DROP FUNCTION {signature}", params=None)
        schema_editor.execute("RESET ROLE", params=None)

    return drop


def replaced_function(signature: str, body: str, before: str) -> migrations.RunPython:
    """A migration step that gives a `system_function` another body. Whose it is and who may call it stay."""

    def replace(with_body: str) -> Any:
        def run(apps: Any, schema_editor: Any) -> None:
            console = schema_editor.quote_name(settings.DATABASES["console"]["USER"])
            schema_editor.execute(f"SET LOCAL ROLE {console}", params=None)
            schema_editor.execute(f"CREATE OR REPLACE FUNCTION {signature} {with_body}", params=None)
            schema_editor.execute("RESET ROLE", params=None)

        return run

    return migrations.RunPython(replace(body), replace(before))
