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

    def create(apps: Any, schema_editor: Any) -> None:
        quote = schema_editor.quote_name
        console = quote(settings.DATABASES["console"]["USER"])
        runtime = quote(settings.DATABASES["default"]["USER"])
        schema_editor.execute(f"CREATE FUNCTION {signature} {body}", params=None)
        schema_editor.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC", params=None)
        schema_editor.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {runtime}", params=None)
        schema_editor.execute(f"ALTER FUNCTION {signature} OWNER TO {console}", params=None)

    def drop(apps: Any, schema_editor: Any) -> None:
        schema_editor.execute(f"DROP FUNCTION {signature}", params=None)

    return migrations.RunPython(create, drop)
