"""From a form to a service: what the service refuses stands beside its field, with what was typed kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ObjectDoesNotExist
from django.db import models, transaction

from apps.core.entity_tags import digest_of
from apps.core.errors import DomainError, NotFound

Result = TypeVar("Result")


class ChangedMeanwhile(DomainError):
    code = "changed_meanwhile"
    status = 409
    detail = "Somebody changed this since you opened it. {now} Save again to put yours in its place."


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row of the component `choice_grid`: in each cell the choices as (value, text).

    The one choice of a column that says what it is needs no text; a cell may have none.
    """

    label: str
    note: str
    cells: list[list[tuple[str, str]]]


class EditForm(forms.Form):
    """A form that edits `row`, whose columns its fields are named after.

    It carries what was seen when it was opened, and `submit_edit` refuses to overwrite anything else. Without `seen`,
    as from a script, the edit goes on.
    """

    seen = forms.CharField(required=False, widget=forms.HiddenInput(attrs={"id": False}))

    def __init__(self, *args: Any, row: models.Model, initial: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.row = row
        super().__init__(*args, **kwargs)
        self.columns = [name for name in self.fields if name in _columns_of(row)]
        self.initial = {**self._values(), "seen": self._tag(), **(initial or {})}

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        self._seen = given.pop("seen", "")
        return given

    def require_unchanged(self) -> None:
        """Lock the row until the transaction ends, and bring it up to date. Raises `ChangedMeanwhile`, `NotFound`."""
        rows: Any = type(self.row)._default_manager.select_for_update(of=("self",), no_key=True)
        try:
            self.row.refresh_from_db(from_queryset=rows)
        except ObjectDoesNotExist:
            raise NotFound from None
        if self._seen not in ("", self._tag()) and (now := self._now()):
            self._show_as_seen()
            raise ChangedMeanwhile(now=now)

    def _tag(self) -> str:
        return digest_of({"id": self.row.pk, **self._values()})

    def _values(self) -> dict[str, Any]:
        return {name: _columns_of(self.row)[name].value_from_object(self.row) for name in self.columns}

    def _show_as_seen(self) -> None:
        """What is there now has been shown when this form comes back, so that saving it again is meant."""
        data: Any = self.data
        typed = data.copy()
        typed[self.add_prefix("seen")] = self._tag()
        self.data = typed

    def _now(self) -> str:
        """Each column that is not what was typed, as it is now."""
        others = [name for name in self.columns if getattr(self.row, name) != self.cleaned_data.get(name)]
        return " ".join(f"{self[name].label} is now {_told(self.row, name)}." for name in others)


def _columns_of(row: models.Model) -> dict[str, Any]:
    return {field.name: field for field in row._meta.concrete_fields}


def _told(row: models.Model, name: str) -> str:
    worded = getattr(row, f"get_{name}_display", None)
    value = worded() if worded else getattr(row, name)
    if isinstance(value, bool):
        return "on" if value else "off"
    return "empty" if value in (None, "") else f"“{value}”"


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


def submit_edit(form: EditForm, service: Callable[..., Result]) -> Result | None:
    """As `submit`, unless the row was changed since the form was opened: then the form says what it is now."""

    def unless_changed(**given: Any) -> Result:
        form.require_unchanged()
        return service(**given)

    return submit(form, unless_changed)
