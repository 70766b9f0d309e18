"""Tenancy in the database, as constraints, so that `makemigrations` records and checks it."""

from __future__ import annotations

from typing import Any

from django.db.models import BaseConstraint

TENANT_IS_CURRENT = "organization_id = (SELECT NULLIF(current_setting('app.tenant', true), '')::uuid)"
NAMES_PRINCIPAL = "{column} = (SELECT NULLIF(current_setting('app.principal', true), '')::uuid)"


class DatabaseOnlyConstraint(BaseConstraint):
    """A constraint that only the database enforces; it is created after its table."""

    def constraint_sql(self, model: Any, schema_editor: Any) -> Any:
        if statement := self.create_sql(model, schema_editor):
            schema_editor.deferred_sql.append(statement)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        return None


class RowLevelSecurity(DatabaseOnlyConstraint):
    """Rows are visible and writable inside their own tenant only, even to the table's owner.

    `principal_column` also lets a person or token read the rows that name it.
    """

    def __init__(self, *, name: str, principal_column: str = "") -> None:
        super().__init__(name=name)
        self.principal_column = principal_column

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        table, name = schema_editor.quote_name(model._meta.db_table), schema_editor.quote_name(self.name)
        statements = [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY {name} ON {table} USING ({TENANT_IS_CURRENT}) WITH CHECK ({TENANT_IS_CURRENT})",
        ]
        if self.principal_column:
            own = NAMES_PRINCIPAL.format(column=schema_editor.quote_name(self.principal_column))
            policy = schema_editor.quote_name(f"{self.name}_principal")
            statements.append(f"CREATE POLICY {policy} ON {table} FOR SELECT USING ({own})")
        return "; ".join(statements)

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        table, name = schema_editor.quote_name(model._meta.db_table), schema_editor.quote_name(self.name)
        policy = schema_editor.quote_name(f"{self.name}_principal")
        return f"DROP POLICY IF EXISTS {policy} ON {table}; DROP POLICY {name} ON {table}"

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        if self.principal_column:
            kwargs["principal_column"] = self.principal_column
        return path, args, kwargs

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowLevelSecurity):
            return NotImplemented
        return (self.name, self.principal_column) == (other.name, other.principal_column)

    __hash__ = None  # type: ignore[assignment]


class SameTenant(DatabaseOnlyConstraint):
    """The row a foreign key points at belongs to the same organization.

    Django has no composite foreign keys, so the ORM keeps its own and the database gets this one beside it.
    """

    def __init__(self, *, name: str, field: str) -> None:
        super().__init__(name=name)
        self.field = field

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        field = model._meta.get_field(self.field)
        target = field.remote_field.model._meta.db_table
        return (
            f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY (organization_id, {quote(field.column)}) REFERENCES {quote(target)} (organization_id, id) "
            "DEFERRABLE INITIALLY DEFERRED"
        )

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "field": self.field}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SameTenant):
            return NotImplemented
        return (self.name, self.field) == (other.name, other.field)

    __hash__ = None  # type: ignore[assignment]
