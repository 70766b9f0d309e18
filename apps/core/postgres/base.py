"""Django's PostgreSQL back end, which also tells the database which tenant is in scope.

Row-level security reads `app.tenant` and `app.principal`. Both are local to a transaction, so that nothing
leaks through a pooled connection; a statement outside a transaction travels in one message with them, which
PostgreSQL takes for a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.backends.postgresql import base
from psycopg import ServerCursor

from apps.core.tenancy import scopes

WRITE_SCOPE = "SELECT set_config('app.tenant', %s, true), set_config('app.principal', %s, true)"


class DatabaseWrapper(base.DatabaseWrapper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(self._inside_scope)

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> None:
        super().set_autocommit(autocommit, *args, **kwargs)
        if not autocommit and scopes.current():
            self._write_scope_or_close()

    def _write_scope_or_close(self) -> None:
        try:
            self.write_scope()
        except BaseException:
            # Autocommit is off and no atomic block knows of it yet, so only a new connection is in a known state.
            self.close()
            raise

    def write_scope(self) -> None:
        """Tell the open transaction which tenant and principal are in scope."""
        scope = scopes.current()
        with self.wrap_database_errors, self.connection.cursor() as cursor:
            cursor.execute(WRITE_SCOPE, scope.as_settings() if scope else ("", ""))

    def _inside_scope(self, execute: Callable, sql: Any, params: Any, many: bool, context: dict) -> Any:
        scope = scopes.current()
        if self.in_atomic_block or not self.get_autocommit() or not scope:
            return execute(sql, params, many, context)
        cursor = context["cursor"]
        if many or isinstance(cursor.cursor, ServerCursor):
            with transaction.atomic(using=self.alias):
                return execute(sql, params, many, context)
        result = execute(f"{in_scope(scope)}; {sql}", params, many, context)
        cursor.nextset()  # from the settings' answer to the statement's
        return result


def in_scope(scope: scopes.Scope) -> str:
    """The statement that tells the scope, with ids and nothing else in it."""
    tenant, principal = (str(UUID(value)) if value else "" for value in scope.as_settings())
    return f"SELECT set_config('app.tenant', '{tenant}', true), set_config('app.principal', '{principal}', true)"
