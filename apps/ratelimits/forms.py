from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from apps.core.formatting import format_wait
from apps.core.forms import EditForm
from apps.organizations.plans import LIMIT_CHOICES
from apps.ratelimits import wording
from apps.ratelimits.enums import LISTED, Algorithm, Away, EntryKind, Plane, Quantity, Subject
from apps.ratelimits.matching import LONGEST_HEADER
from apps.ratelimits.models import Policy

WINDOWS = (1, 10, 60, 15 * 60, 3_600, 86_400, 7 * 86_400, 31 * 86_400)
HELD = (60, 10 * 60, 3_600, 86_400)
SUBJECTS = [(value, f"{label[0].upper()}{label[1:]}") for value, label in LISTED]
SUBJECTS[-1] = (Subject.HEADER, "Value of a header")
MODES = ((False, "Enforced: refuses what goes over"), (True, "Shadow: counts, and refuses nothing"))
DEFAULTS = {
    "name": "Each key",
    "subject": [Subject.TOKEN],
    "quantity": Quantity.REQUESTS,
    "limit": 100,
    "window_s": 60,
    "held_s": 600,
    "algorithm": Algorithm.GCRA,
    "planes": [Plane.PREDICTIONS, Plane.GATEWAY, Plane.API],
    "is_shadow": False,
    "away": Away.LOCAL,
}
# What new policies may start from: a title, and what is not as in DEFAULTS.
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "key": ("Requests of each key", {}),
    "at-once": (
        "Calls at once of each key",
        {"name": "At once, each key", "quantity": Quantity.CONCURRENCY, "limit": 10},
    ),
    "address": ("Requests of each address", {"name": "Each address", "subject": [Subject.ADDRESS]}),
    "customer": (
        "Each customer of yours",
        {"name": "Each customer", "subject": [Subject.HEADER], "header": "x-customer"},
    ),
    "spend": (
        "Dollars a day",
        {
            "name": "Spend of each person",
            "subject": [Subject.USER],
            "quantity": Quantity.COST,
            "limit": 5_000_000,
            "window_s": 86_400,
            "planes": [Plane.GATEWAY],
        },
    ),
}
NAMED = (Subject.TOKEN, Subject.USER)  # whom people know by a name, and not by an id
KINDS = (
    (EntryKind.DENY, "Denied: refused with 403"),
    (EntryKind.ALLOW, "Allowed: only your plan limits it"),
)
TOLD = ("subject", "header", "quantity", "limit", "window_s", "algorithm", "burst", "is_shadow", "planes")
MORE = ("algorithm", "burst", "routes", "models", "away")  # what few policies need


class LinesField(forms.CharField):
    """Names, one on a line; a list."""

    def __init__(self, example: str, **kwargs: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 2, "placeholder": example, "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line for line in (super().to_python(value) or "").splitlines() if line.strip()]


class ChoicesField(forms.MultipleChoiceField):
    widget = forms.CheckboxSelectMultiple


class LastDayField(forms.DateField):
    """A day to the end of which something lasts, as a moment in the zone of whoever reads and types it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.DateInput(attrs={"type": "date"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return timezone.localdate(value - timedelta(microseconds=1)) if isinstance(value, datetime) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        return day and datetime.combine(day + timedelta(days=1), time(), timezone.get_current_timezone())


class NewPolicyForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Callers read it in their answers, such as “Each key”.")
    subject = ChoicesField(
        label="Counted for each",
        required=False,
        choices=SUBJECTS,
        help_text="Several are counted together. None chosen counts the whole organization.",
    )
    header = forms.CharField(
        label="Name of the header",
        required=False,
        max_length=64,
        help_text="Such as x-customer, which your calls send.",
    )
    limit = forms.IntegerField(label="At most", min_value=1)
    quantity = forms.ChoiceField(label="What", choices=Quantity.choices)
    window_s = forms.TypedChoiceField(label="In", coerce=int)
    held_s = forms.TypedChoiceField(
        label="A call that breaks off counts for",
        coerce=int,
        help_text="A prediction counts for as long as it lasts; one that nobody hears of again, no longer than this.",
    )
    planes = ChoicesField(
        label="Which calls",
        choices=Plane.choices,
        error_messages={"required": "Choose at least one."},
        help_text="Your services ask by POST /api/v1/ratelimits/check/. They and calls of models tell tokens and cost.",
    )
    is_shadow = forms.TypedChoiceField(
        label="Mode",
        choices=MODES,
        coerce=lambda given: given == "True",
        widget=forms.RadioSelect,
        help_text="See in shadow for a day what it would refuse, then enforce it with one click.",
    )
    algorithm = forms.ChoiceField(label="How calls pass", choices=Algorithm.choices, widget=forms.RadioSelect)
    burst = forms.IntegerField(
        required=False,
        min_value=1,
        help_text="How much may pass at once, before the rest is let through evenly. Empty: as much as the limit.",
    )
    routes = LinesField("POST /api/v1/jobs/\n/api/v1/models/*", label="Only these routes", help_text="One a line.")
    models = LinesField("churn", label="Only these endpoints", help_text="Their names, one a line.")
    away = forms.ChoiceField(label="While the limiter's memory is away", choices=Away.choices, widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in DEFAULTS.items():
            self.fields[name].initial = value
        self._offer("window_s", WINDOWS, wording.window)
        self._offer("held_s", HELD, format_wait)
        if self.is_bound:
            is_concurrency = self["quantity"].value() == Quantity.CONCURRENCY
            self.fields["held_s"].required, self.fields["window_s"].required = is_concurrency, not is_concurrency

    def clean_subject(self) -> list[str]:
        return self.cleaned_data["subject"] or [Subject.ORGANIZATION]

    def clean(self) -> dict[str, Any]:
        """Only what matters with what was chosen: the rest is not shown, and may hold what was typed before."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        held_s, is_concurrency = given.pop("held_s", None), given.get("quantity") == Quantity.CONCURRENCY
        given["window_s"] = (held_s if is_concurrency else given.get("window_s")) or DEFAULTS["window_s"]
        if is_concurrency or given.get("algorithm") != Algorithm.GCRA:
            given["burst"] = None
        if Subject.HEADER not in given.get("subject", []):
            given["header"] = ""
        return given

    @property
    def words(self) -> str:
        """What the policy would do, as far as it can be told from what stands in the form."""
        self.is_valid()
        given = self.cleaned_data if self.is_bound else {name: self[name].initial for name in self.fields}
        known = {name: given.get(name) or DEFAULTS.get(name, "") for name in TOLD}
        return wording.promise(Policy(**{**known, "burst": given.get("burst")}))

    @property
    def more_count(self) -> int:
        """How many of the rarer fields are not as they usually are, or wrong."""
        usual = {name: DEFAULTS.get(name) for name in MORE}
        return sum(bool(self[name].errors) or (self[name].value() or None) != usual[name] for name in MORE)

    def _offer(self, name: str, offered: Sequence[int], words: Callable[[int], str]) -> None:
        field: Any = self.fields[name]
        field.choices = [(one, words(one)) for one in sorted({*offered, self.get_initial_for_field(field, name)})]


class PolicyForm(NewPolicyForm, EditForm):
    def __init__(self, *args: Any, row: Policy, **kwargs: Any) -> None:
        held = {"held_s": row.window_s} if row.is_concurrency else {}
        super().__init__(*args, row=row, initial=held, **kwargs)


class EntryTermsForm(forms.Form):
    """On which list, why, and until when."""

    kind = forms.ChoiceField(label="List", choices=KINDS, widget=forms.RadioSelect, initial=EntryKind.DENY)
    reason = forms.CharField(required=False, max_length=200, help_text="The answers of whoever is denied tell it.")
    ends_at = LastDayField(label="Until the end of", help_text="Empty: until removed.")


class EntryForm(EntryTermsForm):
    """A value for one of the lists: chosen by its name where it has one, and typed where not."""

    subject = forms.ChoiceField(label="Who", choices=SUBJECTS)
    token = forms.ChoiceField(label="Which token")
    user = forms.ChoiceField(label="Which person")
    header = forms.CharField(label="Name of the header", max_length=64, help_text="Such as x-customer.")
    value = forms.CharField(max_length=LONGEST_HEADER)

    def __init__(self, *args: Any, named: Mapping[str, Sequence[tuple[str, str]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, choices in named.items():
            field: Any = self.fields[name]
            field.choices = [("", "Choose one"), *choices]
        if self.is_bound:
            for name in {*NAMED, "value", "header"} - self._told_in:
                self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        """Only what matters with the subject: the rest is not shown, and may hold what was typed before."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        chosen = {name: given.pop(name, "") for name in (*NAMED, "value", "header")}
        told = {"header": "", **{name: chosen[name] for name in self._told_in}}
        return {**given, "header": told.pop("header"), "value": next(iter(told.values()))}

    def add_error(self, field: str | None, error: Any) -> None:
        """What a service says of the value stands beside where it was chosen."""
        [valued] = self._told_in - {"header"}
        super().add_error(valued if field == "value" else field, error)

    @property
    def _told_in(self) -> set[str]:
        subject = self["subject"].value()
        if subject in NAMED:
            return {subject}
        return {"header", "value"} if subject == Subject.HEADER else {"value"}


class EntryEditForm(EntryTermsForm, EditForm):
    def clean(self) -> dict[str, Any]:
        """A time within a day, as the API sets one, stays unless another day is chosen."""
        given = super().clean()
        if "ends_at" not in self.changed_data:
            given["ends_at"] = self.row.ends_at  # type: ignore[attr-defined]
        return given


class OverrideForm(forms.Form):
    """What the console asks for before it overrides a plan's limit."""

    plan_limit = forms.ChoiceField(label="Limit", choices=LIMIT_CHOICES)
    limit = forms.IntegerField(label="Instead of the plan's number", min_value=1)
    last_day = forms.DateField(label="Last day, in UTC", widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(max_length=200, label="Reason, which the organization's people read")
