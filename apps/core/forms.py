"""From a form to a service: what the service refuses stands beside its field, with what was typed kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django import forms
from django.db import transaction

from apps.core.errors import DomainError

Result = TypeVar("Result")


def submit(form: forms.BaseForm, service: Callable[..., Result]) -> Result | None:
    """The service's result for the form's cleaned fields, or None with the reasons in `form.errors`."""
    if not form.is_valid():
        return None
    try:
        with transaction.atomic():
            return service(**form.cleaned_data)
    except DomainError as error:
        form.add_error(error.field if error.field in form.fields else None, error.message)
        return None
