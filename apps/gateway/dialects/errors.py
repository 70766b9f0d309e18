"""What cannot be said to another provider. Imports no Django."""

from __future__ import annotations

from apps.core.errors import DomainError


class Untranslatable(DomainError):
    code = "not_translatable"
    status = 422
    detail = "`{name}` cannot be said to this model's provider: {reason}. Leave it out, or use a model that knows it."


class NoFace(DomainError):
    code = "endpoint_not_supported"
    status = 422
    detail = "This model does not answer calls of this kind. Its provider speaks {dialect}."


def untranslatable(name: str, reason: str = "it knows no such thing") -> Untranslatable:
    return Untranslatable(field=name, name=name, reason=reason)
