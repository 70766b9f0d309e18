from __future__ import annotations

from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from django import forms

from apps.core.forms import EditForm
from apps.organizations.plans import LIMIT_CHOICES
from apps.ratelimits import wording
from apps.ratelimits.enums import LISTED, Algorithm, Away, EntryKind, Plane, Quantity, Subject
from apps.ratelimits.matching import LONGEST_HEADER
from apps.ratelimits.models import Policy

WINDOWS = (1, 10, 60, 15 * 60, 3_600, 86_400, 7 * 86_400, 31 * 86_400)
SUBJECTS = [(value, f"{label[0].upper()}{label[1:]}") for value, label in LISTED]
DEFAULTS = {
    "subject": [Subject.TOKEN],
    "quantity": Quantity.REQUESTS,
    "limit": 100,
    "window_s": 60,
    "algorithm": Algorithm.GCRA,
    "planes": [Plane.PREDICTIONS, Plane.API],
    "away": Away.LOCAL,
}
TOLD = ("subject", "header", "quantity", "limit", "window_s")
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


class NewPolicyForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Callers read it in their answers, such as “Each key”.")
    subject = ChoicesField(
        label="Counted for each",
        required=False,
        choices=SUBJECTS,
        help_text="Several are counted together. None chosen counts the whole organization.",
    )
    header = forms.CharField(
        required=False, max_length=64, help_text="Its name, if each value of a header is counted, such as x-customer."
    )
    quantity = forms.ChoiceField(label="What is counted", choices=Quantity.choices)
    limit = forms.IntegerField(min_value=1, help_text="How much may pass.")
    window_s = forms.TypedChoiceField(
        label="In", coerce=int, help_text="Of calls at once: how long one counts that breaks off."
    )
    planes = ChoicesField(
        label="Which calls", choices=Plane.choices, error_messages={"required": "Choose at least one."}
    )
    is_shadow = forms.BooleanField(
        label="Shadow: count, and refuse nothing",
        required=False,
        help_text="See for a day what it would refuse, then enforce it with one click.",
    )
    algorithm = forms.ChoiceField(label="How calls pass", choices=Algorithm.choices, widget=forms.RadioSelect)
    burst = forms.IntegerField(
        label="At once",
        required=False,
        min_value=1,
        help_text="How large a burst; empty is as much as the limit.",
    )
    routes = LinesField("POST /api/v1/jobs/\n/api/v1/models/*", label="Only these routes", help_text="One a line.")
    models = LinesField("churn", label="Only these endpoints", help_text="Names of deployed endpoints, one a line.")
    away = forms.ChoiceField(label="While the limiter's memory is away", choices=Away.choices, widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in DEFAULTS.items():
            self.fields[name].initial = value
        window: Any = self.fields["window_s"]
        offered = sorted({*WINDOWS, self.get_initial_for_field(window, "window_s")})
        window.choices = [(seconds, wording.window(seconds)) for seconds in offered]

    def clean_subject(self) -> list[str]:
        return self.cleaned_data["subject"] or [Subject.ORGANIZATION]

    @property
    def words(self) -> str:
        """What the policy would say, as far as it can be told from what stands in the form."""
        self.is_valid()
        given = self.cleaned_data if self.is_bound else {name: self[name].initial for name in self.fields}
        known = {name: given.get(name) or DEFAULTS.get(name, "") for name in TOLD}
        return wording.in_words(Policy(**known))

    @property
    def more_count(self) -> int:
        """How many of the rarer fields are not as they usually are, or wrong."""
        usual = {name: DEFAULTS.get(name) for name in MORE}
        return sum(bool(self[name].errors) or (self[name].value() or None) != usual[name] for name in MORE)


class PolicyForm(NewPolicyForm, EditForm):
    pass


class EntryForm(forms.Form):
    """A value for one of the lists; its last day ends in `zone`."""

    kind = forms.ChoiceField(label="List", choices=EntryKind.choices, widget=forms.RadioSelect, initial=EntryKind.DENY)
    subject = forms.ChoiceField(label="Who", choices=SUBJECTS)
    value = forms.CharField(
        max_length=LONGEST_HEADER,
        help_text="An address or network such as 203.0.113.0/24, the id of a token or person, or a text as it is sent.",
    )
    header = forms.CharField(required=False, max_length=64, help_text="Its name, if the value is one of a header.")
    reason = forms.CharField(required=False, max_length=200, help_text="For whoever reads the list; callers do not.")
    last_day = forms.DateField(
        label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text="Empty: until removed."
    )

    def __init__(self, *args: Any, zone: tzinfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        day = given.pop("last_day", None)
        given["ends_at"] = datetime.combine(day + timedelta(days=1), time(), self._zone) if day else None
        return given


class OverrideForm(forms.Form):
    """What the console asks for before it overrides a plan's limit."""

    plan_limit = forms.ChoiceField(label="Limit", choices=LIMIT_CHOICES)
    limit = forms.IntegerField(label="Instead of the plan's number", min_value=1)
    last_day = forms.DateField(label="Last day, in UTC", widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(max_length=200, label="Reason, which the organization's people read")
